package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/perdure/perdure/cmd/perdure/internal/client"
	"github.com/perdure/perdure/cmd/perdure/internal/state"
)

// clientFlags say which listener to talk to.
type clientFlags struct {
	addr      string
	manager   string
	tokenFile string
	insecure  bool
}

func (f *clientFlags) add(cmd *cobra.Command) {
	cmd.PersistentFlags().StringVar(&f.addr, "addr", "", "the listener (default: $PERDURE_ADDR, else http://127.0.0.1:7070)")
	cmd.PersistentFlags().StringVar(&f.manager, "manager", "", "the manager, where there are several")
	cmd.PersistentFlags().StringVar(&f.tokenFile, "admin-token-file", "", "file with the token (default: $PERDURE_ADMIN_TOKEN_FILE, else admin.token in the state directory; $PERDURE_ADMIN_TOKEN comes first)")
	cmd.PersistentFlags().BoolVar(&f.insecure, "insecure", false, "send the token over plain HTTP to another machine")
}

// client returns a client of the listener. Without wantToken a token is sent only
// if one is at hand.
func (f *clientFlags) client(wantToken bool) (*client.Client, error) {
	addr := f.addr
	if addr == "" {
		addr = os.Getenv("PERDURE_ADDR")
	}
	token := os.Getenv("PERDURE_ADMIN_TOKEN")
	if token == "" && (wantToken || f.tokenFile != "") {
		file := f.tokenFile
		if file == "" {
			e, err := paths()
			if err != nil {
				return nil, err
			}
			file = e.Admin.TokenFile
		}
		var err error
		if token, err = state.ReadToken(file); err != nil {
			return nil, &exitError{
				code: exitFailed, err: fmt.Errorf("admin token: %w", err),
				hint: "--admin-token-file FILE or PERDURE_ADMIN_TOKEN; perdure serve --admin makes the file in its state directory",
			}
		}
	}
	c, err := client.New(addr, token, f.insecure)
	if err != nil {
		return nil, &exitError{code: exitUsage, err: err, hint: "--addr http://127.0.0.1:7070; for another machine https, or a tunnel: ssh -L 7070:127.0.0.1:7070 HOST"}
	}
	return c, nil
}

func (a *app) breakersCommand() *cobra.Command {
	var f clientFlags
	cmd := &cobra.Command{
		Use:   "breakers",
		Short: "Show the circuit breakers of a running perdure, hold and release them",
		Long: "breakers talks to the admin listener of perdure serve, or of run and demo with --listen.\n" +
			"A breaker that is held stays open or closed, whatever happens, until it is released.",
	}
	f.add(cmd)
	return group(cmd, a.breakersListCommand(&f), a.breakersHoldCommand(&f), a.breakersReleaseCommand(&f))
}

func (a *app) breakersListCommand(f *clientFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "ls",
		Short: "List the breakers",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := f.client(false)
			if err != nil {
				return err
			}
			raw, err := c.Get(cmd.Context(), "/api/breakers"+f.query())
			if err != nil {
				return clientError(err)
			}
			if a.output == "json" {
				_, err := a.out.Write(raw)
				return err
			}
			var list struct {
				Breakers []client.Breaker `json:"breakers"`
			}
			if err := json.Unmarshal(raw, &list); err != nil {
				return err
			}
			g := grid{rows: [][]string{{"MANAGER", "BREAKER", "STATE", "HELD", "FAILURES", "OPEN", "WHY"}}}
			for _, b := range list.Breakers {
				g.rows = append(g.rows, row(b))
			}
			return g.write(a.out)
		},
	}
}

func row(b client.Breaker) []string {
	held := b.Held
	if held == "no" {
		held = none
	}
	why := b.Reason
	if b.State == "closed" && b.Held == "no" {
		why = ""
	}
	return []string{
		b.Manager, b.Name, b.State, held, thousands(int64(min(b.Failures, 1<<62))),
		time.Duration(b.OpenSeconds * 1e9).Round(time.Millisecond).String(), why,
	}
}

func (a *app) breakersHoldCommand(f *clientFlags) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:       "hold BREAKER open|closed",
		Short:     "Hold a breaker open or closed until it is released",
		Example:   `  perdure breakers hold database open --reason "maintenance of db7"`,
		Args:      cobra.ExactArgs(2),
		ValidArgs: []string{"database"},
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[1] != "open" && args[1] != "closed" {
				return usageError("hold it %q: want open or closed", args[1])
			}
			if strings.TrimSpace(reason) == "" {
				return usageError("--reason is missing: whoever finds the hold wants to know why")
			}
			return a.changeBreaker(cmd.Context(), f, args[0], "hold-"+args[1], reason)
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for whoever finds the hold")
	return cmd
}

func (a *app) breakersReleaseCommand(f *clientFlags) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "release BREAKER",
		Short: "Release a breaker that is held",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.changeBreaker(cmd.Context(), f, args[0], "release", reason)
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the audit trail")
	return cmd
}

func (a *app) changeBreaker(ctx context.Context, f *clientFlags, name, action, reason string) error {
	c, err := f.client(true)
	if err != nil {
		return err
	}
	raw, err := c.Post(ctx, "/api/breakers/"+url.PathEscape(name)+"/"+action+f.query(), map[string]string{"reason": reason})
	if err != nil {
		return clientError(err)
	}
	if a.output == "json" {
		_, err := a.out.Write(raw)
		return err
	}
	var done struct {
		Changed bool           `json:"changed"`
		Breaker client.Breaker `json:"breaker"`
	}
	if err := json.Unmarshal(raw, &done); err != nil {
		return err
	}
	word := "is"
	if !done.Changed {
		word = "was already"
	}
	what := "held " + done.Breaker.Held
	if done.Breaker.Held == "no" {
		what = "held by nobody, " + done.Breaker.State
	}
	_, err = fmt.Fprintf(a.out, "%s/%s %s %s\n", done.Breaker.Manager, done.Breaker.Name, word, what)
	return err
}

func (f *clientFlags) query() string {
	if f.manager == "" {
		return ""
	}
	return "?manager=" + url.QueryEscape(f.manager)
}
