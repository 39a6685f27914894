package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/perdure/perdure/pgerr"
)

// classified is one SQLSTATE and what it means: the JSON of classify.
type classified struct {
	SQLState    string `json:"sqlstate"`
	Condition   string `json:"condition"`
	Category    string `json:"category"`
	Severity    string `json:"severity"`
	Retry       string `json:"retry"`
	Effect      string `json:"effect"`
	Trips       string `json:"trips"`
	MessageSafe bool   `json:"message_safe"`
	Why         string `json:"why"`
}

func (a *app) classifyCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "classify SQLSTATE...",
		Short:   "Say what SQLSTATEs mean, and what perdure does about them",
		Example: "  perdure classify 40001 57P01 08006",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			list := make([]classified, 0, len(args))
			for _, arg := range args {
				c, err := classify(strings.ToUpper(arg))
				if err != nil {
					return err
				}
				list = append(list, c)
			}
			if a.output == "json" {
				return writeJSON(a.out, list)
			}
			return writeClassified(a.out, list)
		},
	}
}

func classify(code string) (classified, error) {
	valid := len(code) == 5
	for _, c := range code {
		valid = valid && (c >= '0' && c <= '9' || c >= 'A' && c <= 'Z')
	}
	if !valid {
		return classified{}, usageError("%q is no SQLSTATE: want five of 0-9 and A-Z", code)
	}
	e, known := pgerr.Lookup(code)
	v := e.Verdict()
	if !known {
		v = pgerr.ClassifyFields(pgerr.Fields{SQLState: code, Severity: "ERROR"})
		e.Why = "not in the table: judged by its class " + code[:2]
		if v.Category == pgerr.CategoryUnknown {
			e.Why = "neither the code nor its class " + code[:2] + " is known: never repeated"
		}
	}
	return classified{
		SQLState: code, Condition: e.Condition, Category: v.Category.String(), Severity: v.Severity.String(),
		Retry: v.Retry.String(), Effect: v.Effect.String(), Trips: v.Trips.String(),
		MessageSafe: e.MessageSafe, Why: e.Why,
	}, nil
}

func writeClassified(w io.Writer, list []classified) error {
	g := grid{rows: [][]string{{"SQLSTATE", "CONDITION", "CATEGORY", "SEVERITY", "RETRY", "EFFECT", "TRIPS", "MESSAGE SAFE"}}}
	for _, c := range list {
		g.rows = append(g.rows, []string{
			c.SQLState, c.Condition, c.Category, c.Severity, c.Retry, c.Effect, c.Trips, strconv.FormatBool(c.MessageSafe),
		})
	}
	if err := g.write(w); err != nil {
		return err
	}
	for _, c := range list {
		if c.Why != "" {
			if _, err := fmt.Fprintf(w, "\n%s: %s", c.SQLState, c.Why); err != nil {
				return err
			}
		}
	}
	_, err := fmt.Fprintln(w)
	return err
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
