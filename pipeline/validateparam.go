package pipeline

import (
	"path/filepath"
	"slices"
	"strings"
)

func (t ParamType) orString() ParamType {
	if t == "" {
		return ParamString
	}
	return t
}

func (d Definition) validateParams(fault faultFunc) {
	seen := make(map[string]bool, len(d.Params))
	for _, p := range d.Params {
		at := place{}.dot("params").dot(short(p.Name))
		if !isIdentifier(p.Name) {
			fault(at.atKey(), "%q is no name for a parameter: letters, digits and _, and no digit first", short(p.Name))
		}
		if seen[p.Name] {
			fault(at.atKey(), "the parameter is there twice")
		}
		seen[p.Name] = true
		if t := p.Type.orString(); t != paramAny && !slices.Contains(paramTypes(), string(t)) { // a plan knows values, not types
			fault(at.dot("type"), "%q is no type%s", short(string(t)), didYouMean(string(t), paramTypes()))
			continue
		}
		if p.Default == nil {
			continue
		}
		if _, err := p.Type.check(p.Default); err != nil {
			fault(at.dot("default"), "%v", err)
		}
	}
}

func (d Definition) validateSecrets(fault faultFunc) {
	seen := make(map[string]bool, len(d.Secrets))
	for _, s := range d.Secrets {
		at := place{}.dot("secrets").dot(short(s.Name))
		if !isIdentifier(s.Name) {
			fault(at.atKey(), "%q is no name for a secret: letters, digits and _, and no digit first", short(s.Name))
		}
		if seen[s.Name] {
			fault(at.atKey(), "the secret is there twice")
		}
		seen[s.Name] = true
		switch {
		case (s.Env == "") == (s.File == ""):
			fault(at, "want either env or file")
		case s.Env != "" && (strings.ContainsAny(s.Env, "=\x00 ") || strings.HasPrefix(s.Env, "$")):
			fault(at.dot("env"), "%q is no name of an environment variable", short(s.Env))
		case s.File != "" && !filepath.IsAbs(s.File):
			fault(at.dot("file"), "%q is not an absolute path", short(s.File))
		}
	}
}

func (d Definition) validateKey(fault faultFunc) {
	if d.Key == "" {
		return
	}
	at := place{}.dot("key")
	if len(d.Key) > maxKey {
		fault(at, "%d bytes are more than %d", len(d.Key), maxKey)
		return
	}
	raw, err := marshal(d.Key)
	if err != nil {
		fault(at, "%v", err)
		return
	}
	d.wireTexts(raw, at, fault, func(r *reference, at place) {
		if r.root != rootParams {
			fault(at, "${%s}: a key is made of parameters alone", r.text)
			return
		}
		if p, ok := d.param(r.name); ok && p.Type == ParamList && len(r.path) == 0 {
			fault(at, "${%s} is a list, which cannot be part of a key", r.text)
		}
	})
}
