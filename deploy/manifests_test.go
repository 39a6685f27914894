package deploy_test

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// node is a YAML value of which we do not know the type.
type node = map[string]any

// manifests returns every object under kubernetes/, by kind.
func manifests(t *testing.T) map[string]node {
	t.Helper()
	files, err := filepath.Glob("kubernetes/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no manifests: %v", err)
	}
	objects := map[string]node{}
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		d := yaml.NewDecoder(f)
		for {
			var o node
			err := d.Decode(&o)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			kind, _ := o["kind"].(string)
			if _, twice := objects[kind]; kind == "" || twice || o["apiVersion"] == nil {
				t.Fatalf("%s: kind %q has no apiVersion, or is there twice", file, kind)
			}
			objects[kind] = o
		}
		f.Close()
	}
	return objects
}

// at returns the value at a path of keys.
func at(t *testing.T, o any, path ...string) any {
	t.Helper()
	for _, key := range path {
		m, ok := o.(node)
		if !ok || m[key] == nil {
			t.Fatalf("nothing at %s of %s", key, strings.Join(path, "."))
		}
		o = m[key]
	}
	return o
}

func container(t *testing.T) node {
	t.Helper()
	all, ok := at(t, manifests(t)["Deployment"], "spec", "template", "spec", "containers").([]any)
	if !ok || len(all) != 1 {
		t.Fatalf("containers = %v, want one", all)
	}
	return all[0].(node)
}

func TestKubernetesProbesTheAdminListener(t *testing.T) {
	c := container(t)
	for probe, path := range map[string]string{"startupProbe": "/startupz", "livenessProbe": "/livez", "readinessProbe": "/readyz"} {
		if got := at(t, c, probe, "httpGet", "path"); got != path {
			t.Errorf("%s asks %v, want %s", probe, got, path)
		}
		if got := at(t, c, probe, "httpGet", "port"); got != "admin" {
			t.Errorf("%s asks port %v, want admin", probe, got)
		}
	}
	ports, _ := c["ports"].([]any)
	if len(ports) != 1 || at(t, ports[0], "name") != "admin" || at(t, ports[0], "containerPort") != 7070 {
		t.Errorf("ports = %v, want admin at 7070", ports)
	}
	// That serve knows all its flags is a test of the command's.
	if args, _ := c["args"].([]any); len(args) < 3 || !slices.Equal(args[:3], []any{"serve", "--listen", "0.0.0.0:7070"}) {
		t.Errorf("args = %v, want those of perdure serve on the admin port", args)
	}
	if got := at(t, manifests(t)["Deployment"], "spec", "template", "metadata", "annotations", "prometheus.io/port"); got != "7070" {
		t.Errorf("Prometheus scrapes port %v, want 7070", got)
	}
}

func TestKubernetesGivesNoMoreThanIsNeeded(t *testing.T) {
	all := manifests(t)
	pod := at(t, all["Deployment"], "spec", "template", "spec")
	for path, want := range map[string]any{
		"securityContext.runAsNonRoot":        true,
		"securityContext.seccompProfile.type": "RuntimeDefault",
	} {
		if got := at(t, pod, strings.Split(path, ".")...); got != want {
			t.Errorf("pod: %s = %v, want %v", path, got, want)
		}
	}
	if pod.(node)["automountServiceAccountToken"] != false {
		t.Error("the pod mounts a token that it does not need")
	}
	for path, want := range map[string]any{
		"securityContext.readOnlyRootFilesystem": true,
		"resources.limits.memory":                "512Mi",
	} {
		if got := at(t, container(t), strings.Split(path, ".")...); got != want {
			t.Errorf("container: %s = %v, want %v", path, got, want)
		}
	}
	own := at(t, container(t), "securityContext").(node)
	if own["allowPrivilegeEscalation"] != false || !slices.Equal(at(t, own, "capabilities", "drop").([]any), []any{"ALL"}) {
		t.Errorf("container: securityContext = %v, want no escalation and no capabilities", own)
	}
}

func TestKubernetesSelectsItsOwnPods(t *testing.T) {
	all := manifests(t)
	const label = "app.kubernetes.io/name"
	want := at(t, all["Deployment"], "spec", "template", "metadata", "labels", label)
	for kind, path := range map[string][]string{
		"Deployment":          {"spec", "selector", "matchLabels", label},
		"Service":             {"spec", "selector", label},
		"PodDisruptionBudget": {"spec", "selector", "matchLabels", label},
		"NetworkPolicy":       {"spec", "podSelector", "matchLabels", label},
	} {
		if got := at(t, all[kind], path...); got != want {
			t.Errorf("%s selects %v, want %v", kind, got, want)
		}
	}
}

// TestTheUnitIsHardened reads the unit, and has systemd check it where there is
// one: a program that is there stands for ours, which is not installed.
func TestTheUnitIsHardened(t *testing.T) {
	text, err := os.ReadFile("systemd/perdure.service")
	if err != nil {
		t.Fatal(err)
	}
	unit := string(text)
	for _, want := range []string{
		"ExecStart=/usr/local/bin/perdure serve --listen 127.0.0.1:7070", "DynamicUser=yes", "NoNewPrivileges=yes", "CapabilityBoundingSet=\n",
		"ProtectSystem=strict", "ProtectHome=yes", "PrivateTmp=yes", "PrivateDevices=yes", "MemoryDenyWriteExecute=yes",
		"RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX", "SystemCallFilter=@system-service", "RestartPreventExitStatus=2 3",
	} {
		if !strings.Contains(unit, "\n"+want) {
			t.Errorf("the unit does not have %q", want)
		}
	}
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Log("systemd-analyze is not there: the unit's keys were not checked")
		return
	}
	file := filepath.Join(t.TempDir(), "perdure.service")
	if err := os.WriteFile(file, []byte(strings.Replace(unit, "/usr/local/bin/perdure", "/bin/true", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), analyze, "verify", "--man=no", file).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}
