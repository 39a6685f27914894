package pipeline

import (
	"slices"
	"strconv"

	"go.yaml.in/yaml/v4"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/backoff"
	"github.com/perdure/perdure/pgerr"
)

// defaultRuns is how often a step of a file is run if it does not say.
const defaultRuns = 3

func (d *decoder) definition(root *yaml.Node) Definition {
	at := place{}
	o := d.object(root, at, fileFields(), "a mapping with name and steps")
	if o == nil {
		d.stop = true
		return Definition{}
	}
	def := Definition{
		Name: d.text(o["name"], at.dot("name")), Doc: d.text(o["description"], at.dot("description")),
		Key: d.text(o["key"], at.dot("key")), Parallel: d.number(o["parallel"], at.dot("parallel")),
	}
	if o["name"] == nil {
		d.bad[root] = true // that it is missing is said; no more of the same
		d.nodes["name"] = root
	}
	def.Params = d.params(o["params"], at.dot("params"))
	def.Secrets = d.secrets(o["secrets"], at.dot("secrets"))
	steps := at.dot("steps")
	list := d.list(o["steps"], steps, "a list of steps")
	if o["steps"] == nil || list == nil && d.bad[o["steps"]] {
		d.stop = true
		return def
	}
	for i, n := range list {
		def.Steps = append(def.Steps, d.step(n, steps.at(i)))
	}
	return def
}

// inOrder calls fn for the values of a mapping in the order of the file.
func (d *decoder) inOrder(n *yaml.Node, at place, what string, fn func(name string, n *yaml.Node, at place)) {
	if n == nil {
		return
	}
	values := d.object(n, at, nil, what)
	for i := 0; i+1 < len(n.Content) && values != nil; i += 2 {
		name := n.Content[i].Value
		if v := values[name]; v == n.Content[i+1] {
			fn(name, v, at.dot(name))
		}
	}
}

func (d *decoder) params(n *yaml.Node, at place) []Param {
	var out []Param
	d.inOrder(n, at, "a mapping of names to parameters", func(name string, n *yaml.Node, at place) {
		p := Param{Name: name, Type: ParamString}
		o := d.object(n, at, paramFields(), "a mapping such as {type: int, default: 5}")
		if o["type"] != nil {
			p.Type = ParamType(d.text(o["type"], at.dot("type")))
		}
		p.Doc = d.text(o["description"], at.dot("description"))
		if v := o["default"]; v != nil {
			p.Default = d.json(v, at.dot("default"))
		}
		out = append(out, p)
	})
	return out
}

func (d *decoder) secrets(n *yaml.Node, at place) []Secret {
	var out []Secret
	d.inOrder(n, at, "a mapping of names to secrets", func(name string, n *yaml.Node, at place) {
		o := d.object(n, at, secretFields(), "a mapping such as {env: API_TOKEN}")
		s := Secret{Name: name, Env: d.text(o["env"], at.dot("env")), File: d.text(o["file"], at.dot("file"))}
		out = append(out, s)
	})
	return out
}

func (d *decoder) step(n *yaml.Node, at place) Step {
	if n.Kind == yaml.MappingNode { // show its name, also in faults of its own keys
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == "name" {
				at = at.named(n.Content[i+1].Value)
			}
		}
	}
	o := d.object(n, at, stepFields(), "a mapping with name and uses")
	for _, f := range []string{"name", "uses"} {
		if o[f] == nil { // missing, which is said
			d.nodes[at.dot(f).key] = &yaml.Node{}
			d.bad[d.nodes[at.dot(f).key]] = true
		}
	}
	s := Step{
		Name: d.text(o["name"], at.dot("name")), Uses: d.text(o["uses"], at.dot("uses")),
		When: d.text(o["when"], at.dot("when")), Parallel: d.number(o["parallel"], at.dot("parallel")),
		Timeout: d.duration(o["timeout"], at.dot("timeout")), Attempts: defaultRuns,
	}
	if v := o["when"]; v != nil && s.When == "" {
		d.node(v, at.dot("when"), "empty")
	}
	_ = d.text(o["description"], at.dot("description"))
	for i, need := range d.list(o["needs"], at.dot("needs"), "a list of steps") {
		if name := d.text(need, at.dot("needs").at(i)); name != "" {
			s.Needs = append(s.Needs, name)
		} else {
			d.node(need, at.dot("needs").at(i), "empty")
			s.Needs = append(s.Needs, "") // so that the others keep their places
		}
	}
	if v := o["with"]; v != nil && !d.bad[v] {
		if v.Kind != yaml.MappingNode {
			d.node(v, at.dot("with"), "is "+nameOf(v)+", want a mapping")
		} else {
			s.With = d.json(v, at.dot("with"))
		}
	}
	if v := o["foreach"]; v != nil {
		s.ForEach = d.json(v, at.dot("foreach"))
	}
	if v := o["retry"]; v != nil {
		d.retry(v, at.dot("retry"), &s)
	}
	return s
}

func (d *decoder) retry(n *yaml.Node, at place, s *Step) {
	o := d.object(n, at, retryFields(), "a mapping such as {attempts: 5, park: 5m}")
	if o["runs"] != nil {
		s.Attempts = d.number(o["runs"], at.dot("runs"))
	}
	s.Delay = d.duration(o["delay"], at.dot("delay"))
	p := perdure.Policy{
		MaxAttempts:    d.number(o["attempts"], at.dot("attempts")),
		MaxElapsed:     d.duration(o["elapsed"], at.dot("elapsed")),
		AttemptTimeout: d.duration(o["attempt_timeout"], at.dot("attempt_timeout")),
		Park:           d.duration(o["park"], at.dot("park")),
		Backoff:        d.backoff(o["backoff"], at.dot("backoff")),
		Contention:     d.backoff(o["contention"], at.dot("contention")),
		Overload:       d.backoff(o["overload"], at.dot("overload")),
	}
	for i, c := range d.list(o["on"], at.dot("on"), "a list of categories") {
		at := at.dot("on").at(i)
		var category pgerr.Category
		word := d.text(c, at)
		if err := category.UnmarshalText([]byte(word)); err != nil {
			d.node(c, at, sprintf("%q is no category%s", short(word), didYouMean(word, categories())))
			continue
		}
		p.RetryOn = append(p.RetryOn, category)
	}
	for _, key := range fieldNames(retryFields())[2:] {
		if o[key] != nil {
			s.Policy = &p
		}
	}
}

func (d *decoder) backoff(n *yaml.Node, at place) backoff.Config {
	if n == nil {
		return backoff.Config{}
	}
	o := d.object(n, at, backoffFields(), "a mapping such as {initial: 100ms, max: 10s}")
	c := backoff.Config{
		Strategy: backoff.Strategy(d.word(o["strategy"], at.dot("strategy"), "exponential", "linear", "constant", "fibonacci")),
		Initial:  d.duration(o["initial"], at.dot("initial")),
		Max:      d.duration(o["max"], at.dot("max")),
		Jitter:   backoff.Jitter(d.word(o["jitter"], at.dot("jitter"), "full", "equal", "none")),
	}
	if m := o["multiplier"]; m != nil && !d.bad[m] {
		f, err := strconv.ParseFloat(m.Value, 64)
		if err != nil || m.Kind != yaml.ScalarNode || isTextNode(m) || !(f >= 1 && f <= 1000) {
			d.node(m, at.dot("multiplier"), "is "+nameOf(m)+wordNode(m)+", want a number from 1 to 1000")
		} else {
			c.Multiplier = f
		}
	}
	return c
}

// word returns a text that must be one of words.
func (d *decoder) word(n *yaml.Node, at place, words ...string) string {
	s := d.text(n, at)
	if s != "" && !slices.Contains(words, s) {
		d.node(n, at, sprintf("%q is not known%s", short(s), didYouMean(s, words)))
		return ""
	}
	return s
}

// categories are the words of pgerr's categories.
func categories() []string {
	var words []string
	for c := pgerr.CategoryUnknown; c <= pgerr.CategoryRaised; c++ {
		words = append(words, c.String())
	}
	return words
}
