package component_test

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/component"
)

// Store is a component that others need.
type Store struct{ table string }

// Start, Stop and Check are each optional.
func (s *Store) Start(context.Context) error {
	fmt.Println("store opens", s.table)
	return nil
}

func (s *Store) Stop(context.Context) error {
	fmt.Println("store closes")
	return nil
}

type StoreConfig struct {
	Table string `json:"table" jsonschema:"where features go"`
}

func newStore(_ context.Context, _ component.Deps, cfg StoreConfig) (*Store, error) {
	return &Store{table: cfg.Table}, nil
}

// Features is a component with a method.
type Features struct{ store *Store }

type BuildInput struct {
	Items []struct {
		ID int `json:"id"`
	} `json:"items"`
}

type BuildOutput struct {
	Rows int `json:"rows"`
}

func (f *Features) Build(_ context.Context, in BuildInput) (BuildOutput, error) {
	return BuildOutput{Rows: len(in.Items)}, nil
}

func newFeatures(_ context.Context, deps component.Deps, _ struct{}) (*Features, error) {
	store, err := component.Get[*Store](deps, "store") // typed; made and started before this is called
	return &Features{store}, err
}

func factories() []component.Factory {
	return []component.Factory{
		{Name: "store", Maker: component.Make(newStore)},
		{
			Name: "features", Needs: []string{"store"}, Maker: component.Make(newFeatures),
			Methods: []component.Callable{component.MethodOf("build", (*Features).Build)},
		},
	}
}

func Example() {
	ctx := context.Background()
	loader, err := component.New(component.Config{
		Factories: factories(),
		Components: []component.Spec{
			{Name: "features"},
			{Name: "store", Config: json.RawMessage(`{"table": "feature"}`)},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := loader.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}
	out, err := loader.Invoke(ctx, "features", "build", json.RawMessage(`{"items": [{"id": 1}, {"id": 2}]}`))
	fmt.Println(string(out), err)
	_, err = loader.Invoke(ctx, "features", "build", json.RawMessage(`{"items": [{"id": 1}, {"id": "2"}], "itms": 3}`))
	fmt.Println(err)
	fmt.Println(loader.Stop(ctx))
	// Output:
	// store opens feature
	// {"rows":2} <nil>
	// features.build: input: /items/1/id: want integer, got string; /itms: unknown key; did you mean "items"?
	// store closes
	// <nil>
}

func ExampleCall() {
	ctx := context.Background()
	add := component.Method("add", func(_ context.Context, in []int) (int, error) {
		sum := 0
		for _, n := range in {
			sum += n
		}
		return sum, nil
	})
	loader, err := component.New(component.Config{Factories: []component.Factory{{Name: "sums", Methods: []component.Callable{add}}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := loader.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(component.Call[[]int, int](ctx, loader, "sums", "add", []int{1, 2, 39}))
	// Output: 42 <nil>
}

func ExampleNew_faults() {
	_, err := component.New(component.Config{Factories: []component.Factory{
		{Name: "a", Needs: []string{"b"}},
		{Name: "b", Needs: []string{"c", "databse"}},
		{Name: "c", Needs: []string{"a"}},
		{Name: "database"},
	}})
	fmt.Println(err)
	// Output:
	// component: component b needs "databse", which does not exist; did you mean "database"?
	// components need each other: a → b → c → a
}

func ExampleLoader_Describe() {
	loader, err := component.New(component.Config{Factories: factories()[:1], Components: []component.Spec{
		{Name: "store", Config: json.RawMessage(`{"table": "feature"}`)},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(string(loader.Describe()[0].Config))
	// Output:
	// {"type":"object","properties":{"table":{"type":"string","description":"where features go"}},"$schema":"https://json-schema.org/draft/2020-12/schema","required":["table"],"additionalProperties":false}
}

func ExampleRetry() {
	ctx := context.Background()
	manager, err := perdure.New(perdure.Config{Name: "warehouse"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer manager.Close(ctx)
	loader, err := component.New(component.Config{Manager: manager, Factories: []component.Factory{component.Retry(manager)}})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := loader.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}
	out, err := loader.Invoke(ctx, "retry", "hold-open", json.RawMessage(`{"operation": "database", "reason": "a new disk"}`))
	fmt.Println(string(out), err)
	// Output: {"operation":"database","state":"open","held":"open","reason":"a new disk","successes":0,"failures":0} <nil>
}
