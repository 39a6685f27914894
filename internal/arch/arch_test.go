package arch_test

import (
	"os"
	"testing"

	"github.com/perdure/perdure/internal/arch"
)

// load reads the repository that this package lies in.
func load(t *testing.T) *arch.Tree {
	t.Helper()
	tree, err := arch.Load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func none(t *testing.T, found []arch.Finding) {
	t.Helper()
	for _, f := range found {
		t.Error(f)
	}
}

func TestPackagesImportOnlyWhatTheTableAllows(t *testing.T) {
	none(t, load(t).Imports(arch.Rules()))
}

func TestSourcesDoNotPanicSleepSkipOrInit(t *testing.T) {
	none(t, load(t).Source())
}

func TestFilesHoldOneIdea(t *testing.T) {
	tree := load(t)
	for _, f := range tree.Lengths(arch.LongLines) {
		t.Log(f)
	}
	none(t, tree.Lengths(arch.MaxLines))
}

func TestTextsNameNoMachineAndNoUnfinishedWork(t *testing.T) {
	none(t, load(t).Markers())
}

func TestLibraryKeepsHeavyModulesOutOfItsGoMod(t *testing.T) {
	none(t, load(t).RootModule())
}

func TestNestedModulesBuildWithoutTheWorkspace(t *testing.T) {
	none(t, load(t).Nested())
}

func TestEveryModuleIsTested(t *testing.T) {
	none(t, load(t).Workspace())
}

func TestEachDirectDependencyIsExplained(t *testing.T) {
	none(t, load(t).Dependencies())
}

func TestReadmeNamesTheCommandsOfANewcomer(t *testing.T) {
	none(t, load(t).Readme())
}

func TestDocsShowWhatRuns(t *testing.T) {
	none(t, load(t).Snippets())
}

func TestEveryFeatureHasItsTest(t *testing.T) {
	none(t, load(t).Features())
}
