package component

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
)

// Factory is what a component is loaded from: a name, the names of what it
// needs, its methods, and how it is made. It is plain data but for its funcs,
// and a Loader does not change it: the same Factory can be given to many.
type Factory struct {
	// Name is 1 to 63 of [a-z0-9._-], unique in a Loader.
	Name string
	// Doc says in a sentence what the component is for.
	Doc string
	// Needs names the components that must run before this one is made, and
	// that it can get with [Get].
	Needs []string
	// Methods is what can be invoked. Their names are unique.
	Methods []Callable
	// Maker makes the component's value, with [Make]. The zero Maker makes nil,
	// for components that are nothing but methods without a receiver.
	Maker Maker
	// Check says whether the component is all right, as a [Checker] does, for a
	// value that is none. Nil means that it is as long as it runs.
	Check func(ctx context.Context) error
}

// Starter is a component's value that has to be started. Start returns once the
// component can do its work; goroutines that go on after it belong to the
// component, which ends them in Stop: the context of Start ends when Start
// returns.
type Starter interface {
	Start(ctx context.Context) error
}

// Stopper is a component's value that has to be stopped. Stop is called exactly
// once for each value that was made, also when its Start failed, and never while
// its Start is still under way.
type Stopper interface {
	Stop(ctx context.Context) error
}

// Checker is a component's value that can say whether it is all right. Check may
// be called concurrently with methods; it returns nil, an error, or one that
// health.Warn or health.Away made.
type Checker interface {
	Check(ctx context.Context) error
}

// Maker makes the value of a component. See [Make].
type Maker struct {
	made   reflect.Type // of the value
	config *format      // of the configuration
	err    error        // what is wrong with the types
	check  func(config json.RawMessage) error
	make   func(ctx context.Context, deps Deps, config json.RawMessage) (any, error)
}

// Make returns a Maker that calls fn with the component's dependencies, which
// run by then, and its configuration. C is a struct; its JSON schema (see
// [Method]) is that of the configuration, which is strict: unknown keys are
// errors, and fields without omitempty or omitzero must be there. If C has a method
// "Validate() error" it is asked too. fn may do I/O; ctx ends when it and the
// value's Start have returned.
//
// The value is what other components get with [Get]. If it is a [Starter], a
// [Stopper] or a [Checker], those are called.
func Make[C, V any](fn func(ctx context.Context, deps Deps, config C) (V, error)) Maker {
	m := Maker{made: reflect.TypeFor[V]()}
	m.config, m.err = formatFor[C](true)
	if fn == nil {
		m.err = errors.New("Make was given a nil func")
	}
	m.check = func(raw json.RawMessage) error {
		_, err := decode[C](raw)
		return err
	}
	m.make = func(ctx context.Context, deps Deps, raw json.RawMessage) (any, error) {
		config, err := decode[C](raw)
		if err != nil {
			return nil, err
		}
		return fn(ctx, deps, config)
	}
	return m
}

// Deps holds the values of the components that a component needs, under the
// names that its Factory gives them.
type Deps struct {
	component string
	values    map[string]any
	names     []string // in the order of Factory.Needs
}

// Names returns the names of the dependencies, as Factory.Needs has them.
func (d Deps) Names() []string { return slices.Clone(d.names) }

// Get returns the value of the dependency of that name. T is its type, or an
// interface that it has. It fails if the Factory does not name the dependency,
// or if its value is no T; both faults are the program's, and the error says
// what is there.
//
//	db, err := component.Get[*Database](deps, "database")
func Get[T any](d Deps, name string) (T, error) {
	var none T
	v, ok := d.values[name]
	if !ok {
		return none, fmt.Errorf("component %s does not list %q in its Needs; %s", d.component, name, among(name, d.names))
	}
	t, ok := v.(T)
	if !ok {
		return none, fmt.Errorf("component %s needs %s as %v; it is a %T", d.component, name, reflect.TypeFor[T](), v)
	}
	return t, nil
}

// validate returns the faults of a factory.
func (f *Factory) validate() (faults []error) {
	if err := validComponent(f.Name); err != nil {
		faults = append(faults, err)
	}
	if f.Maker.err != nil {
		faults = append(faults, fmt.Errorf("maker: %w", f.Maker.err))
	}
	if f.Maker.make != nil && f.Maker.config != nil && f.Maker.config.root.types&(typeObject|typeNull) != f.Maker.config.root.types {
		faults = append(faults, errors.New("maker: the configuration is not a struct"))
	}
	seen := map[string]bool{}
	for i := range f.Methods {
		m := &f.Methods[i]
		for _, err := range m.validate(f.Maker.made) {
			faults = append(faults, fmt.Errorf("method %s: %w", m.name, err))
		}
		if seen[m.name] {
			faults = append(faults, fmt.Errorf("method %s: is there twice", m.name))
		}
		seen[m.name] = true
	}
	seen = map[string]bool{}
	for _, n := range f.Needs {
		if seen[n] {
			faults = append(faults, fmt.Errorf("needs: %q is there twice", n))
		}
		seen[n] = true
	}
	return faults
}
