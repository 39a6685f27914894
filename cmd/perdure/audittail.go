package main

import (
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/perdure/perdure/audit"
)

func (a *app) auditTailCommand() *cobra.Command {
	var cfg audit.TailConfig
	var kinds []string
	cmd := &cobra.Command{
		Use:     "tail [DIRECTORY]",
		Short:   "Print the last records, and follow the trail",
		Long:    "tail prints the last records of the trail (default: $PERDURE_AUDIT_DIR, else audit in perdure's state directory). With --output json it prints the lines as they are stored.",
		Example: "  perdure audit tail --follow --kind hold --kind admin",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := trailDir(args)
			if err != nil {
				return err
			}
			if cfg.Last < 0 || cmd.Flags().Changed("lines") && cfg.Last == 0 {
				return usageError("--lines %d: want at least 1", cfg.Last)
			}
			cfg.Dir = dir
			for _, k := range kinds {
				cfg.Kinds = append(cfg.Kinds, audit.Kind(k))
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			for e, err := range audit.Tail(ctx, cfg) {
				if err != nil {
					return auditError(dir, err)
				}
				if err := a.printEntry(e); err != nil {
					return err
				}
			}
			if ctx.Err() != nil {
				return &exitError{code: exitInterrupted, err: errInterrupted}
			}
			return nil
		},
	}
	cmd.Flags().IntVarP(&cfg.Last, "lines", "n", 10, "number of records")
	cmd.Flags().BoolVarP(&cfg.Follow, "follow", "f", false, "go on with records as they are written")
	cmd.Flags().StringArrayVar(&kinds, "kind", nil, "only records of this kind, such as breaker, hold, give_up, outcome, run, admin")
	return cmd
}

func (a *app) printEntry(e audit.Entry) error {
	if a.output == "json" {
		_, err := fmt.Fprintf(a.out, "%s\n", e.Raw)
		return err
	}
	words := []string{string(e.Kind), e.Manager, e.Subject, e.Action}
	if e.Actor != "" {
		words = append(words, "by "+e.Actor)
	}
	names := make([]string, 0, len(e.Fields))
	for name := range e.Fields {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		words = append(words, fmt.Sprintf("%s=%v", name, e.Fields[name]))
	}
	if e.CorrelationID != "" {
		words = append(words, "id="+e.CorrelationID)
	}
	if e.Text != "" {
		words = append(words, fmt.Sprintf("%q", e.Text))
	}
	words = slices.DeleteFunc(words, func(w string) bool { return w == "" })
	_, err := fmt.Fprintf(a.out, "%s  %6d  %s\n", e.Time.Format("2006-01-02T15:04:05.000Z"), e.Seq, printable(strings.Join(words, "  ")))
	return err
}

// printable takes out what could command a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}
