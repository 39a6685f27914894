package perdureotel_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/perdureotel"
)

// TestTheDocumentNamesAllThatIsShown provokes everything and looks each name up.
func TestTheDocumentNamesAllThatIsShown(t *testing.T) {
	page, err := os.ReadFile("../docs/opentelemetry.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{"`" + perdureotel.SchemaURL + "`": true, "`" + perdureotel.ScopeName + "`": true}
	see := func(kvs []attribute.KeyValue) {
		for _, kv := range kvs {
			seen["`"+string(kv.Key)+"`"] = true
		}
	}
	o := options{manager: perdure.Config{Budget: perdure.BudgetConfig{Floor: -1}}}
	o.otel.ServerAddress, o.otel.ServerPort, o.otel.Namespace = "db.example", 5432, "shop"
	bubble(t, o, func(r *rig) {
		op := perdure.Op{Name: "op", Idempotent: true, Policy: &perdure.Policy{Park: time.Hour}}
		_ = r.m.Do(r.Context(), op, failing(2, sqlError("40001")))
		_ = r.m.Do(r.Context(), op, failing(99, perdure.Transient(errOwn)))
		r.m.Breaker("database").HoldOpen("test")
		time.AfterFunc(time.Minute, func() { r.m.Breaker("database").HoldClosed("test") })
		_ = r.m.Do(r.Context(), op, succeed)
		_ = r.m.Do(r.Context(), perdure.Op{Name: "poor", Idempotent: true}, failing(99, perdure.Transient(errOwn)))
		r.m.CommitOutcome(r.Context(), perdure.OutcomeEvent{Op: "op", Key: "k", Resolution: perdure.Undecided, Method: "marker"})
		for name := range collect(r, r.reader) {
			seen["`"+name+"`"] = true
		}
		for _, s := range r.spans.GetSpans() {
			see(s.Attributes)
		}
		events := 0
		for _, e := range r.logs.all {
			if !seen["`"+e.EventName()+"`"] {
				events++
			}
			seen["`"+e.EventName()+"`"] = true
			e.WalkAttributes(func(kv attribute.KeyValue) bool { see([]attribute.KeyValue{kv}); return true })
		}
		if events != 8 {
			r.Errorf("%d kinds of events were provoked, want all 8", events)
		}
	})
	for name := range seen {
		if !strings.Contains(string(page), name) {
			t.Errorf("docs/opentelemetry.md does not name %s", name)
		}
	}
}
