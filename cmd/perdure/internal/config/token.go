package config

import (
	"github.com/perdure/perdure/cmd/perdure/internal/state"
)

// The variables that hold tokens.
const (
	adminVariable = "PERDURE_ADMIN_TOKEN"
	readVariable  = "PERDURE_READ_TOKEN"
)

// tokensOf takes the tokens from the environment.
func (e *Effective) tokensOf(in Input) Faults {
	if in.Env == nil {
		return nil
	}
	var faults Faults
	for name, to := range map[string]*string{adminVariable: &e.adminToken, readVariable: &e.readToken} {
		token, _ := in.Env(name)
		if token == "" {
			continue
		}
		if err := state.CheckToken(token); err != nil {
			faults = append(faults, Fault{Source{Kind: "env", Name: name}, "", err.Error(), "openssl rand -hex 32 makes a good one"})
			continue
		}
		*to = token
	}
	return faults
}

// Tokens are what the listener asks for.
type Tokens struct {
	Admin string // empty: changes are off
	Read  string // empty: reading needs no token of its own
	// Made are the files that were made for them.
	Made []string
}

// Tokens returns the tokens that are needed, and makes the files that are not
// there.
func (e *Effective) Tokens() (Tokens, error) {
	var t Tokens
	var err error
	if e.Admin.Enabled {
		if t.Admin, err = e.token(e.adminToken, e.Admin.TokenFile, &t.Made); err != nil {
			return Tokens{}, err
		}
	}
	if e.Admin.AllowRemote {
		if t.Read, err = e.token(e.readToken, e.Admin.ReadTokenFile, &t.Made); err != nil {
			return Tokens{}, err
		}
	}
	return t, nil
}

func (e *Effective) token(given, file string, made *[]string) (string, error) {
	if given != "" {
		return given, nil
	}
	token, isNew, err := state.Token(file)
	if isNew {
		*made = append(*made, file)
	}
	return token, err
}
