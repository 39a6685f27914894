package figure_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/perdure/perdure/bench/figure"
)

func TestTable(t *testing.T) {
	table := figure.Table{Head: []string{"guard", "ns"}}
	table.Add("a|b", "7")
	table.Add("perdure", "1,234")
	var b bytes.Buffer
	if _, err := (figure.Section{Title: "Costs", Text: "Less is better.", Table: &table}).WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	want := "### Costs\n\nLess is better.\n\n| guard   |    ns |\n|---------|------:|\n| a\\|b    |     7 |\n| perdure | 1,234 |\n\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("Markdown (-want +got):\n%s", diff)
	}
}

func TestATableWithAHoleIsRefused(t *testing.T) {
	table := figure.Table{Head: []string{"a", "b"}}
	table.Add("1")
	if _, err := table.WriteTo(io.Discard); err == nil {
		t.Error("WriteTo() = nil for a row that lacks a cell")
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 0.1234: "0.12", 4.58: "4.58", 57.36: "57.4", 150: "150", 894.4: "894", 1234.5: "1,234", 12_345_678: "12,345,678", 9: "9",
	} {
		if got := figure.Number(v); got != want {
			t.Errorf("Number(%v) = %q, want %q", v, got, want)
		}
	}
}

func chart() *figure.Chart {
	return &figure.Chart{
		Title: "Fast & slow", Desc: "One is < the other", XLabel: "x", YLabel: "y",
		X: []string{"1", "2", "3"}, Y: []float64{1, 10, 100}, Log: true, Never: "never",
		Panels: []figure.Panel{
			{Title: "left", Lines: []figure.Line{{"ours", []float64{1, 10, 100}}, {"theirs", []float64{5, -1, 1e9}}}},
			{Title: "right", Lines: []figure.Line{{"ours", []float64{1, 1, 1}}, {"theirs", []float64{2, 2, 2}}}},
		},
	}
}

func svg(t *testing.T, c *figure.Chart) string {
	t.Helper()
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestChartIsWellFormedAndSaysWhatItShows(t *testing.T) {
	text := svg(t, chart())
	d := xml.NewDecoder(strings.NewReader(text))
	said := map[string]string{}
	elements, in := 0, ""
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("not well formed: %v", err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			elements++
			in = token.Name.Local
			if elements == 1 && in != "svg" {
				t.Errorf("the first element is %s, want svg", in)
			}
		case xml.CharData:
			said[in] += string(token)
		case xml.EndElement:
			in = ""
		}
	}
	if said["title"] != "Fast & slow" || said["desc"] != "One is < the other" {
		t.Errorf("it says title %q and desc %q", said["title"], said["desc"])
	}
	for _, want := range []string{`role="img"`, `aria-labelledby="title desc"`, "prefers-color-scheme:dark", ">ours</text>", ">theirs</text>", ">left</text>", ">never</text>"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in the picture", want)
		}
	}
	if strings.Contains(text, "NaN") || strings.Contains(text, "<script") {
		t.Error("the picture has something that it must not")
	}
}

func TestTheSameNumbersMakeTheSamePicture(t *testing.T) {
	if first, second := svg(t, chart()), svg(t, chart()); first != second {
		t.Error("two drawings of the same chart differ")
	}
}

func TestPointsStandWhereTheirValuesAre(t *testing.T) {
	text := svg(t, chart())
	// On a logarithmic scale 10 stands in the middle between 1 and 100.
	for _, y := range []string{"426", "276", "126"} {
		if !strings.Contains(text, "cy=\""+y+"\"") {
			t.Errorf("no round mark at y = %s, want marks at 426, 276 and 126", y)
		}
	}
}

func TestAChartThatCannotBeDrawnIsRefused(t *testing.T) {
	for name, spoil := range map[string]func(c *figure.Chart){
		"no panel":              func(c *figure.Chart) { c.Panels = nil },
		"one tick":              func(c *figure.Chart) { c.X = c.X[:1] },
		"a logarithm of zero":   func(c *figure.Chart) { c.Y[0] = 0 },
		"a value is missing":    func(c *figure.Chart) { c.Panels[0].Lines[1].Values = nil },
		"panels of other lines": func(c *figure.Chart) { c.Panels[1].Lines = c.Panels[1].Lines[:1] },
	} {
		c := chart()
		spoil(c)
		if _, err := c.WriteTo(io.Discard); err == nil {
			t.Errorf("%s: WriteTo() = nil", name)
		}
	}
}
