package model

import (
	"go/ast"
	"go/parser"
	"go/token"
	"testing"
)

func TestEveryRuleIsMissedWhereItIsLeftOut(t *testing.T) {
	for _, m := range Mutants() {
		t.Run(m.Rule.String(), func(t *testing.T) {
			t.Parallel()
			sc := Find(m.Scenario)
			if sc == nil {
				t.Fatalf("there is no scenario %q", m.Scenario)
			}
			limit := 2_000_000
			if m.Broken == Holds {
				limit = 400_000 // what is not there is not found any sooner
			}
			r := sc.Check(Options{Rules: m.Rules(), MaxStates: limit})
			switch {
			case r.Broken != m.Broken:
				t.Errorf("without %s in %q: got %v after %d states, want %v\n%s", m.Rule, sc.Name, r.Broken, r.States, m.Broken, r.Trace)
			case m.Broken == Holds:
				t.Logf("redundant: %s (%d states, all of them: %t)", m.Redundant, r.States, r.Complete)
			default:
				t.Logf("%s: after %d steps in %q: %v", m.Rule, r.Trace.Len(), sc.Name, r.Broken)
			}
		})
	}
}

func TestEveryRuleHasARow(t *testing.T) {
	rows := make(map[Rule]int)
	for _, m := range Mutants() {
		rows[m.Rule]++
		if (m.Broken == Holds) != (m.Redundant != "") {
			t.Errorf("%s: a rule either breaks something or is redundant for a reason", m.Rule)
		}
	}
	for _, r := range AllRules() {
		if rows[r] != 1 {
			t.Errorf("%s: %d rows, want 1", r, rows[r])
		}
	}
}

func TestASetHasRoomForEveryRule(t *testing.T) {
	all := RulesOf(AllRules()...)
	for _, r := range AllRules() {
		rest := all.Without(r)
		if !all.Has(r) || rest.Has(r) {
			t.Errorf("%s: in the set of all: %t, in that of all others: %t", r, all.Has(r), rest.Has(r))
		}
	}
}

// The names are a list beside the constants, so that they can be told apart.
func TestRulesAreNamedAsTheyAreDeclared(t *testing.T) {
	var names []string
	inspect := func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && spec.Names[0].IsExported() {
			names = append(names, spec.Names[0].Name)
			if spec.Doc == nil {
				t.Errorf("%s: no comment says what the rule is", spec.Names[0].Name)
			}
		}
		return true
	}
	for _, file := range []string{"rule.go", "tagrule.go", "lostrule.go", "askrule.go"} {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, inspect)
	}
	if len(names) != int(ruleCount) {
		t.Fatalf("%d rules are declared, and there are %d", len(names), ruleCount)
	}
	for k, name := range names {
		if got := Rule(k).String(); got != name { //nolint:gosec // fewer than 256
			t.Errorf("rule %d: got the name %s, want %s", k, got, name)
		}
	}
}
