package flights

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func randomRows(rng *rand.Rand, n int) []Row {
	rows := make([]Row, n)
	for i := range rows {
		r := Row{
			Line: i + 2, Hour: 24 * rng.Float64(), Weekday: 1 + rng.IntN(7), Distance: 3 * rng.Float64(),
			Recent: rng.Float64(), Origin: rng.Float64(), Destination: rng.Float64(), Route: rng.Float64(),
		}
		r.Late = rng.Float64() < 1/(1+math.Exp(1-2*r.Route))
		rows[i] = r
	}
	return rows
}

// TestTheGradientIsThatOfTheLoss compares the derivatives with differences.
func TestTheGradientIsThatOfTheLoss(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	m := &Model{Names: columns()}
	p := m.standardize(randomRows(rng, 200))
	w := make([]float64, p.n)
	for j := range w {
		w[j] = rng.NormFloat64()
	}
	grad := make([]float64, p.n)
	p.gradient(grad, w)
	const h = 1e-5
	for j := range w {
		at := func(d float64) float64 {
			v := append([]float64(nil), w...)
			v[j] += d
			return p.loss(v)
		}
		if want := (at(h) - at(-h)) / (2 * h); math.Abs(want-grad[j]) > 1e-8 {
			t.Errorf("gradient[%d] = %v, want %v", j, grad[j], want)
		}
	}
}

func TestTrainingConvergesToAPointWithoutGradient(t *testing.T) {
	rows := randomRows(rand.New(rand.NewPCG(3, 4)), 3000)
	m, err := Train(rows, "2001-03-01")
	if err != nil {
		t.Fatal(err)
	}
	p := (&Model{Names: columns()}).standardize(rows)
	grad := make([]float64, p.n)
	p.gradient(grad, append([]float64{m.Intercept}, m.Coefficients...))
	for j, g := range grad {
		if math.Abs(g) > 1e-9 {
			t.Errorf("gradient[%d] at the model = %v, want 0", j, g)
		}
	}
	again, err := Train(rows, "2001-03-01")
	if diff := cmp.Diff(m, again); err != nil || diff != "" {
		t.Errorf("a second training: %v (-first +second):\n%s", err, diff)
	}
	route := m.Coefficients[len(m.Coefficients)-1]
	if route < 0.3 {
		t.Errorf("coefficient of the only column that matters = %v, want about 2 × its scale", route)
	}
}

func TestTrainingNeedsBothKinds(t *testing.T) {
	rows := randomRows(rand.New(rand.NewPCG(5, 6)), 50)
	for i := range rows {
		rows[i].Late = true
	}
	if _, err := Train(rows, "2001-03-01"); err == nil {
		t.Error("Train with late flights only = nil, want an error")
	}
	if _, err := Train(nil, "2001-03-01"); err == nil {
		t.Error("Train with nothing = nil, want an error")
	}
}

// TestAUCIsTheShareOfOrderedPairs compares with the definition, pair by pair.
func TestAUCIsTheShareOfOrderedPairs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 40).Draw(t, "n")
		late, predicted := make([]bool, n), make([]float64, n)
		for i := range late {
			late[i] = rapid.Bool().Draw(t, "late")
			predicted[i] = float64(rapid.IntRange(1, 9).Draw(t, "p")) / 10
		}
		late[0], late[1] = true, false
		got, err := Evaluate(late, predicted, 0.5)
		if err != nil {
			t.Fatal(err)
		}
		var pairs, ordered float64
		for i := range late {
			for j := range late {
				if !late[i] || late[j] {
					continue
				}
				pairs++
				switch {
				case predicted[i] > predicted[j]:
					ordered++
				case predicted[i] == predicted[j]:
					ordered += 0.5
				}
			}
		}
		if want := round(ordered / pairs); got.AUC != want {
			t.Errorf("AUC = %v, want %v", got.AUC, want)
		}
		rows := 0
		for _, b := range got.Calibration {
			rows += b.Rows
		}
		if rows != n {
			t.Errorf("the calibration table has %d of %d rows", rows, n)
		}
	})
}

func TestEvaluationNeedsBothKinds(t *testing.T) {
	if _, err := Evaluate([]bool{true, true}, []float64{0.5, 0.5}, 0.5); err == nil {
		t.Error("Evaluate of late flights only = nil, want an error")
	}
}

func TestRoundKeepsTwelveDigits(t *testing.T) {
	for in, want := range map[float64]float64{
		0.1234567890123456: 0.123456789012, 123456789012345: 123456789012000, math.Copysign(0, -1): 0, -2: -2,
	} {
		if got := round(in); got != want || math.Signbit(got) != math.Signbit(want) {
			t.Errorf("round(%v) = %v, want %v", in, got, want)
		}
	}
}
