package main

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// TestDeployedCommandsAreUnderstood: the flags in deploy/ are those of serve.
func TestDeployedCommandsAreUnderstood(t *testing.T) {
	commands := map[string][]string{"kubernetes": kubernetesArgs(t), "systemd": systemdArgs(t)}
	for where, args := range commands {
		if len(args) < 2 || args[0] != "serve" {
			t.Errorf("%s: the command is %q, want serve with flags", where, args)
			continue
		}
		var out, talk bytes.Buffer
		if code := command(t.Context(), append(slices.Clone(args), "--help"), &out, &talk); code != exitOK {
			t.Errorf("%s: perdure %s --help exits with %d: %s", where, strings.Join(args, " "), code, talk.String())
		}
	}
}

func kubernetesArgs(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../../deploy/kubernetes/deployment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var deployment struct {
		Spec struct {
			Template struct {
				Spec struct {
					Containers []struct{ Args []string }
				}
			}
		}
	}
	if err := yaml.Unmarshal(text, &deployment); err != nil {
		t.Fatal(err)
	}
	for _, c := range deployment.Spec.Template.Spec.Containers {
		return c.Args
	}
	return nil
}

func systemdArgs(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../../deploy/systemd/perdure.service")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if start, ok := strings.CutPrefix(line, "ExecStart="); ok {
			return strings.Fields(start)[1:]
		}
	}
	return nil
}
