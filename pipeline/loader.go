package pipeline

import "github.com/perdure/perdure/component"

var _ Invoker = (*component.Loader)(nil)

// MethodsOf returns what a loader's components can do, for [Parse] and
// [Definition.Check]. literal names, by "component.method", the fields in which no
// reference may stand. The components need not run.
func MethodsOf(l *component.Loader, literal map[string][]string) []Method {
	var out []Method
	for _, c := range l.Describe() {
		for _, m := range c.Methods {
			uses := c.Name + "." + m.Name
			out = append(out, Method{Uses: uses, Input: m.Input, Literal: literal[uses]})
		}
	}
	return out
}
