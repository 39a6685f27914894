// Package component makes a program of named parts: it loads them by name, in
// the order of what they need, and invokes their methods with JSON.
//
//	features := component.Factory{
//		Name:  "features",
//		Needs: []string{"database"},
//		Maker: component.Make(func(ctx context.Context, deps component.Deps, cfg Config) (*Features, error) {
//			db, err := component.Get[*Database](deps, "database")
//			…
//		}),
//		Methods: []component.Callable{component.MethodOf("build", (*Features).Build)},
//	}
//	loader, err := component.New(component.Config{
//		Factories:  []component.Factory{database, features, component.Retry(manager)},
//		Components: []component.Spec{{Name: "features", Config: config}},
//	})
//	err = loader.Start(ctx)
//	out, err := loader.Invoke(ctx, "features", "build", in)
//	err = loader.Stop(ctx)
//
// A [Factory] is what a component is made from. Its value, which other
// components get with [Get], may be a [Starter], a [Stopper] and a [Checker]. A
// method takes and returns Go types; their JSON schemas are made from the types
// when the method is declared, so that an input can be checked long before it is
// used (see [Loader.CheckInput] and [Loader.Describe]).
//
// There is no registry but the [Loader], which is a value.
//
// # Invariants
//
//  1. A component is made once all that it needs runs, and stopped once nothing that needs it does;
//     a Start or Stop that was abandoned has had its turn.
//  2. Stop is called exactly once for each value that was made, and never while its Start is under way.
//  3. Where the graph leaves a choice, the first of the alphabet is begun first.
//  4. Input that does not fit the schema never reaches a method. Each fault is named by its path, up
//     to 20 of them, and none shows what stands there.
//  5. An invocation is a scope, not an attempt: what a method does through guarded statements and
//     transactions repeats by itself. The invoker repeats only methods that are declared Idempotent.
//  6. An invocation returns at the latest Config.Grace after the end of its context, whatever the
//     method does: hangs, panics, calls runtime.Goexit. It then returns an [*Error] that names component and method.
//  7. A method that does not return keeps its place. So no more than MaxConcurrent goroutines of a
//     method exist, and what is abandoned is counted in [Snapshot] until it ends. A component whose Start or
//     Stop was abandoned is not started again before that has ended.
//  8. What goes in and what comes out is bounded in bytes and depth, and measured before it is encoded.
//  9. Caller and method share no memory: all goes through JSON, also with [Call].
//
// What cannot be contained is what ends the whole process: os.Exit, a fatal
// error of the runtime, memory that runs out inside a method, a panic in a
// goroutine that a method started.
package component
