package figure

import "io"

// Section is a table under a heading.
type Section struct {
	Title string
	// Text stands above the table; it may be empty.
	Text  string
	Table *Table
}

// WriteTo prints s as Markdown, under a heading of the third level.
func (s Section) WriteTo(w io.Writer) (int64, error) {
	text := "### " + s.Title + "\n\n"
	if s.Text != "" {
		text += s.Text + "\n\n"
	}
	n, err := io.WriteString(w, text)
	if err != nil {
		return int64(n), err
	}
	more, err := s.Table.WriteTo(w)
	if err != nil {
		return int64(n) + more, err
	}
	last, err := io.WriteString(w, "\n")
	return int64(n) + more + int64(last), err
}
