package pgerr

import (
	"fmt"
	"io"
	"testing"
	"time"
)

func past() time.Time  { return time.Unix(1, 0) }
func never() time.Time { return time.Time{} }

func TestNothingAllocates(t *testing.T) {
	for _, tt := range shapes() {
		if tt.name == "a tree without end" {
			continue // its Unwrap makes the slices
		}
		var v Verdict
		if n := testing.AllocsPerRun(100, func() { v = Classify(tt.err) }); n != 0 {
			t.Errorf("Classify(%s) allocates %v times (%+v)", tt.name, n, v)
		}
		if n := testing.AllocsPerRun(100, func() { v = ClassifyConnect(tt.err) }); n != 0 {
			t.Errorf("ClassifyConnect(%s) allocates %v times (%+v)", tt.name, n, v)
		}
	}
	for e := range All() {
		f := Fields{SQLState: e.SQLState, Severity: "ERROR", Message: "canceling statement due to user request"}
		var v Verdict
		if n := testing.AllocsPerRun(10, func() { v = ClassifyFields(f) }); n != 0 {
			t.Errorf("ClassifyFields(%s) allocates %v times (%+v)", e.SQLState, n, v)
		}
		var found Entry
		if n := testing.AllocsPerRun(10, func() { found, _ = Lookup(e.SQLState) }); n != 0 {
			t.Errorf("Lookup(%s) allocates %v times", found.SQLState, n)
		}
	}
}

func BenchmarkClassify(b *testing.B) {
	for _, bb := range []struct {
		name string
		err  error
	}{
		{"nil", nil},
		{"code", stateError("40001")},
		{"wrapped code", fmt.Errorf("load: %w", fmt.Errorf("batch: %w", stateError("40001")))},
		{"eof", io.ErrUnexpectedEOF},
		{"dial", opError("dial", io.EOF)},
		{"unknown", fmt.Errorf("x: %w", io.ErrNoProgress)},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Classify(bb.err)
			}
		})
	}
}

func BenchmarkClassifyFields(b *testing.B) {
	f := Fields{SQLState: "40001", Severity: "ERROR", Routine: "ExecUpdate", Message: "could not serialize access"}
	b.ReportAllocs()
	for b.Loop() {
		ClassifyFields(f)
	}
}
