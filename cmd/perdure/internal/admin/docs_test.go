package admin

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// TestTheContractNamesEveryField: docs/cli-json.md has each field of each answer,
// and each code of a refusal.
func TestTheContractNamesEveryField(t *testing.T) {
	page := read(t, "../../../../docs/cli-json.md")
	_, section, ok := strings.Cut(page, "## The admin listener")
	if !ok {
		t.Fatal("docs/cli-json.md has no section on the admin listener")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	for _, v := range []any{
		breakerView{},
		operationView{},
		managerView{},
		outcomeView{},
		errorView{},
		durationView{},
		changed{},
		problem{},
		runView{},
		countsView{},
		failureView{},
		stepView{},
		waitView{},
	} {
		for f := range reflect.TypeOf(v).Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if !strings.Contains(section, "`"+name+"`") {
				t.Errorf("docs/cli-json.md does not name %s of %T", name, v)
			}
		}
	}
	code := regexp.MustCompile(`Code: +"([a-z_]+)"|Code, p\.Text = "([a-z_]+)"`)
	found := 0
	for _, file := range []string{"change.go", "gate.go", "outer.go", "routes.go", "runs.go", "stream.go"} {
		for _, m := range code.FindAllStringSubmatch(read(t, file), -1) {
			found++
			if name := m[1] + m[2]; !strings.Contains(section, "`"+name+"`") {
				t.Errorf("docs/cli-json.md does not name the code %s", name)
			}
		}
	}
	if found < 21 {
		t.Errorf("found %d codes in the source: the pattern is out of date", found)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
