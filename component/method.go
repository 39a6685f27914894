package component

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/perdure/perdure"
)

// What the zero fields of Options mean.
const (
	defaultMaxConcurrent = 64
	defaultMaxQueued     = 256
)

// Options says how a method is invoked.
type Options struct {
	// Doc says in a sentence what the method does.
	Doc string
	// Idempotent says that doing it twice is the same as doing it once. The
	// invoker repeats only such methods, through the Loader's Manager, as the
	// operation "component.method": the database's breaker and the operation's
	// own then decide whether an invocation begins. Without a Manager nothing is
	// repeated. What a method does through guarded statements and transactions repeats
	// by itself, inside, and is not to be declared for that.
	Idempotent bool
	// Policy is that of the operation. It needs Idempotent. Nil means the Manager's.
	Policy *perdure.Policy
	// Timeout ends the context of an invocation, its waiting for a place and its
	// repeats included. Zero means Config.Timeout; negative means none.
	Timeout time.Duration
	// MaxConcurrent is how many invocations of the method run at once. One that was
	// abandoned keeps its place until it ends. Zero means 64.
	MaxConcurrent int
	// MaxQueued is how many invocations wait, first come first served, for one of
	// these places; the next fails at once. Zero means 256; negative means none.
	MaxQueued int
}

// Callable is a method that can be invoked by name: see [Method] and [MethodOf].
type Callable struct {
	name     string
	options  Options
	receiver reflect.Type // nil: none
	in, out  *format
	errs     []error // what is wrong with the types
	// bind returns the call for a component's value.
	bind func(value any) invocable
}

// invocable is a method with its receiver: JSON in, JSON out. It is called with
// JSON that fits the schema, may panic or hang, and its errors are the method's
// own but for those of *fault.
type invocable func(ctx context.Context, in json.RawMessage, limits limits) (json.RawMessage, error)

// Method returns fn as a method without a receiver. In and Out are what
// encoding/json can decode and encode; their JSON schemas are made once, here:
//
//   - fields without omitempty or omitzero are required, unknown ones refused;
//   - a tag jsonschema:"…" is the field's description;
//   - slices, maps and pointers may be null;
//   - a type with JSONSchema() (see [Schemer]) has that schema;
//   - json.RawMessage and any may be anything; other types with their own
//     UnmarshalJSON too, and those with UnmarshalText are strings.
//
// Types that contain themselves, maps whose keys are not strings, funcs and
// channels have no schema: [New] says so. If In has a method "Validate() error",
// it is asked once the input is decoded.
func Method[In, Out any](name string, fn func(ctx context.Context, in In) (Out, error)) Callable {
	if fn == nil {
		return Callable{name: name, errs: []error{errors.New("the func is nil")}}
	}
	c := newCallable[In, Out](name)
	c.bind = func(any) invocable { return invoke(fn) }
	return c
}

// MethodOf is [Method] for a func that takes the component's value first, such
// as the method expression (*Features).Build. V is the type that the Maker
// makes, or an interface that it has.
func MethodOf[V, In, Out any](name string, fn func(value V, ctx context.Context, in In) (Out, error)) Callable {
	if fn == nil {
		return Callable{name: name, errs: []error{errors.New("the func is nil")}}
	}
	c := newCallable[In, Out](name)
	c.receiver = reflect.TypeFor[V]()
	c.bind = func(value any) invocable {
		v, _ := value.(V) // Factory.validate has compared the types
		return invoke(func(ctx context.Context, in In) (Out, error) { return fn(v, ctx, in) })
	}
	return c
}

// With returns the method with other options.
func (c Callable) With(o Options) Callable {
	c.options = o
	return c
}

// Name returns the method's name.
func (c Callable) Name() string { return c.name }

func newCallable[In, Out any](name string) Callable {
	c := Callable{name: name}
	var err error
	if c.in, err = formatFor[In](true); err != nil {
		c.errs = append(c.errs, fmt.Errorf("input: %w", err))
	}
	if c.out, err = formatFor[Out](false); err != nil {
		c.errs = append(c.errs, fmt.Errorf("output: %w", err))
	}
	return c
}

func invoke[In, Out any](fn func(context.Context, In) (Out, error)) invocable {
	return func(ctx context.Context, raw json.RawMessage, limits limits) (json.RawMessage, error) {
		in, err := decode[In](raw)
		if err != nil {
			return nil, &fault{reason: ReasonInput, err: err}
		}
		out, err := fn(ctx, in)
		if err != nil {
			return nil, err
		}
		b, err := encode(out, limits)
		if err != nil {
			return nil, &fault{reason: ReasonOutput, err: err}
		}
		return b, nil
	}
}

// decode decodes JSON that fits the schema of T.
func decode[T any](raw json.RawMessage) (T, error) {
	var v T
	if err := json.Unmarshal(raw, &v); err != nil {
		return v, decodeError(err)
	}
	if checked, ok := any(&v).(interface{ Validate() error }); ok { // finds methods of T and of *T
		return v, checked.Validate()
	}
	return v, nil
}

// validate returns the faults of a method of a component whose value has the
// type made, nil if it has none.
func (c *Callable) validate(made reflect.Type) (faults []error) {
	addf := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if err := validMethod(c.name); err != nil {
		faults = append(faults, err)
	}
	if c.bind == nil && c.errs == nil {
		addf("is the zero Callable: use Method or MethodOf")
	}
	faults = append(faults, c.errs...)
	switch {
	case c.receiver == nil:
	case made == nil:
		addf("its receiver is %v, and the factory has no Maker", c.receiver)
	case !made.AssignableTo(c.receiver):
		addf("its receiver is %v, and the Maker makes %v", c.receiver, made)
	}
	o := &c.options
	if o.Policy != nil {
		if !o.Idempotent {
			addf("policy: needs idempotent, for nothing else is repeated")
		}
		if err := o.Policy.Validate(); err != nil {
			addf("policy: %w", err)
		}
	}
	if o.MaxConcurrent < 0 {
		addf("max concurrent: %d is negative", o.MaxConcurrent)
	}
	return faults
}

func (o Options) withDefaults(c *Config) Options {
	if o.Timeout == 0 {
		o.Timeout = c.Timeout
	}
	if o.MaxConcurrent == 0 {
		o.MaxConcurrent = defaultMaxConcurrent
	}
	if o.MaxQueued == 0 {
		o.MaxQueued = defaultMaxQueued
	}
	return o
}
