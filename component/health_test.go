package component_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/perdure/perdure/component"
	"github.com/perdure/perdure/health"
)

// checked is a component's value that says how it is.
type checked struct{ err error }

func (c *checked) Check(context.Context) error { return c.err }

func TestAFailureSuppressesWhatFollowsFromIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parts := map[string]*checked{}
		one := func(name string, needs ...string) component.Factory {
			parts[name] = &checked{}
			return component.Factory{Name: name, Needs: needs, Maker: component.Make(
				func(context.Context, component.Deps, struct{}) (*checked, error) { return parts[name], nil },
			)}
		}
		l := load(t, component.Config{Factories: []component.Factory{one("database"), one("features", "database"), one("train", "features"), one("other")}})
		h, err := health.New(t.Context(), health.Config{Checks: l.Checks()})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := h.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}()
		results := func() map[string]string {
			got := map[string]string{}
			_, all := h.Check(t.Context())
			for _, r := range all {
				got[r.Name] = fmt.Sprintf("%v %s", r.Status, r.Because)
			}
			return got
		}
		if diff := cmp.Diff(map[string]string{
			"database": "fail ", "features": "unknown database", "train": "unknown database", "other": "fail ",
		}, results()); diff != "" {
			t.Errorf("before the start (-want +got):\n%s", diff)
		}
		if err := l.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		h, err = health.New(t.Context(), health.Config{Checks: l.Checks()})
		if err != nil {
			t.Fatal(err)
		}
		parts["features"].err = errors.New("stale")
		if diff := cmp.Diff(map[string]string{
			"database": "pass ", "features": "fail ", "train": "unknown features", "other": "pass ",
		}, results()); diff != "" {
			t.Errorf("with stale features (-want +got):\n%s", diff)
		}
		if err := l.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
