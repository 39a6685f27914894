// Package figure prints tables as Markdown and draws pictures as SVG, from
// numbers alone: the same numbers make the same bytes.
package figure

import (
	"fmt"
	"io"
	"strings"
)

// Table is a table of text. The first column is set to the left, the others to the right.
type Table struct {
	// Head names the columns.
	Head []string
	// Rows have as many cells as Head.
	Rows [][]string
}

// Add adds a row.
func (t *Table) Add(cells ...string) { t.Rows = append(t.Rows, cells) }

// WriteTo prints t as Markdown, with columns aligned for whoever reads the source.
func (t *Table) WriteTo(w io.Writer) (int64, error) {
	widths := make([]int, len(t.Head))
	for _, row := range append([][]string{t.Head}, t.Rows...) {
		if len(row) != len(t.Head) {
			return 0, fmt.Errorf("row %q has %d cells, want %d", row, len(row), len(t.Head))
		}
		for i, cell := range row {
			widths[i] = max(widths[i], len([]rune(clean(cell))), 3)
		}
	}
	var b strings.Builder
	line := func(cells []string) {
		for i, cell := range cells {
			gap := strings.Repeat(" ", widths[i]-len([]rune(clean(cell))))
			if i == 0 {
				b.WriteString("| " + clean(cell) + gap + " ")
			} else {
				b.WriteString("| " + gap + clean(cell) + " ")
			}
		}
		b.WriteString("|\n")
	}
	line(t.Head)
	for i, width := range widths {
		if i == 0 {
			b.WriteString("|" + strings.Repeat("-", width+2))
		} else {
			b.WriteString("|" + strings.Repeat("-", width+1) + ":")
		}
	}
	b.WriteString("|\n")
	for _, row := range t.Rows {
		line(row)
	}
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

// clean keeps a cell one cell.
func clean(cell string) string {
	return strings.NewReplacer("|", "\\|", "\n", " ").Replace(cell)
}

// Number writes v with three significant digits, and thousands apart.
func Number(v float64) string {
	switch {
	case v >= 1000:
		s := fmt.Sprintf("%.0f", v)
		for i := len(s) - 3; i > 0; i -= 3 {
			s = s[:i] + "," + s[i:]
		}
		return s
	case v >= 100 || v == float64(int64(v)):
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// Times writes a ratio.
func Times(v float64) string { return fmt.Sprintf("%.2f×", v) }
