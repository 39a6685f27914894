package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func (a *app) manCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "man",
		Short: "Print the manual page, of all commands",
		Long: "man prints perdure(1), the manual page of all commands, in the format that man reads. It is made from the\n" +
			"same texts as the help.",
		Example: "  perdure man | man -l -\n  perdure man > /usr/local/share/man/man1/perdure.1",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var b bytes.Buffer
			writeManual(&b, cmd.Root())
			_, err := a.out.Write(b.Bytes())
			return err
		},
	}
}

// writeManual writes the page of a program: man(7) in roff.
func writeManual(w io.Writer, root *cobra.Command) {
	m := manual{w}
	m.line(`.TH PERDURE 1 "" "perdure %s" "User Commands"`, roff(version().Version))
	m.line(".SH NAME\nperdure \\- %s", roff(root.Short))
	m.line(".SH SYNOPSIS\n.B perdure\n.I COMMAND\n[\\fIflags\\fR]")
	m.line(".SH DESCRIPTION")
	m.text(root.Long)
	m.flags(root.PersistentFlags())
	m.line(".SH COMMANDS")
	m.commands(root)
	m.line(".SH EXIT STATUS")
	for _, e := range []struct {
		code int
		text string
	}{
		{exitOK, "Done."},
		{exitFailed, "Failed."},
		{exitUsage, "Usage: unknown command, flag or value."},
		{exitInvalid, "Invalid file or configuration."},
		{exitUnreachable, "The database, or another server that is needed, cannot be reached."},
		{exitCheck, "A check failed."},
		{exitPartial, "Partial, or the outcome of a commit is unknown."},
		{exitInterrupted, "Interrupted."},
	} {
		m.line(".TP\n.B %d\n%s", e.code, e.text)
	}
	m.line(".SH ENVIRONMENT")
	for _, e := range []struct{ name, text string }{
		{"DATABASE_URL, PG*", "The database, where no flag names one; ~/.pgpass has passwords."},
		{"PERDURE_STATE_DIR", "The directory for what outlives a process. Else it is in $STATE_DIRECTORY, $XDG_STATE_HOME/perdure, or ~/.local/state/perdure."},
		{"PERDURE_PG_BIN", "The directory of the server's programs, for \\-\\-embedded."},
		{"NO_COLOR", "If set, nothing is colored."},
	} {
		m.line(".TP\n.B %s\n%s", e.name, e.text)
	}
}

// manual writes parts of a page. Errors of a buffer there are none.
type manual struct{ w io.Writer }

func (m manual) line(format string, args ...any) { _, _ = fmt.Fprintf(m.w, format+"\n", args...) }

// text writes paragraphs: what is indented stays as it is.
func (m manual) text(s string) {
	for paragraph := range strings.SplitSeq(s, "\n\n") {
		m.line(".PP")
		for line := range strings.Lines(paragraph) {
			m.line("%s", roff(strings.TrimRight(line, "\n")))
		}
	}
}

func (m manual) commands(parent *cobra.Command) {
	for _, c := range parent.Commands() {
		if !c.IsAvailableCommand() || c.Name() == "help" {
			continue
		}
		m.line(".SS %s", roff(c.UseLine()))
		if c.Long != "" {
			m.text(c.Long)
		} else {
			m.text(c.Short + ".")
		}
		m.flags(c.LocalNonPersistentFlags())
		if c.Example != "" {
			m.line(".PP\nExamples:\n.PP\n.nf")
			for line := range strings.Lines(c.Example) {
				m.line("%s", roff(strings.TrimRight(line, "\n")))
			}
			m.line(".fi")
		}
		m.commands(c)
	}
}

func (m manual) flags(f *pflag.FlagSet) {
	f.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		name, usage := pflag.UnquoteUsage(f)
		head := "\\fB\\-\\-" + roff(f.Name) + "\\fR"
		if f.Shorthand != "" {
			head = "\\fB\\-" + f.Shorthand + "\\fR, " + head
		}
		if name != "" {
			head += " \\fI" + roff(name) + "\\fR"
		}
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "[]" && f.DefValue != "0" {
			usage += " (default " + f.DefValue + ")"
		}
		m.line(".TP\n%s\n%s", head, roff(usage))
	})
}

// roff escapes a line of text.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		return `\&` + s
	}
	return s
}
