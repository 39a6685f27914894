package flights

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/optimize"
)

// Row is what the model sees of a flight: a row of the table feature.
type Row struct {
	Line                               int
	Late                               bool
	Hour                               float64 // 0–24, local
	Weekday                            int     // 1 Monday … 7 Sunday
	Distance                           float64 // thousand miles
	Recent, Origin, Destination, Route float64 // smoothed shares of late flights on earlier days
}

// Model is a logistic regression: the probability that a flight is more than 15
// minutes late is 1 / (1 + exp(-(intercept + Σ coefficient · (x - mean) / scale))).
// Its numbers are rounded to 12 significant digits, so that they do not depend
// on the last bits of a machine's exp.
type Model struct {
	Names        []string  `json:"names"`
	Means        []float64 `json:"means"`
	Scales       []float64 `json:"scales"`
	Coefficients []float64 `json:"coefficients"`
	Intercept    float64   `json:"intercept"`
	Rows         int       `json:"rows"`       // it was trained on
	Before       string    `json:"before"`     // their days, YYYY-MM-DD
	Iterations   int       `json:"iterations"` // of the optimizer
	Loss         float64   `json:"loss"`       // mean log loss on them, without the penalty
}

// penalty is the λ of the L2 term λ/2 · Σ coefficient². The intercept pays none.
const penalty = 1e-3

// columns names the numbers that vector returns.
func columns() []string {
	return []string{
		"hour_sin", "hour_cos", "hour_sin2", "hour_cos2", "tue", "wed", "thu", "fri", "sat", "sun",
		"distance", "distance_squared", "recent", "origin", "destination", "route",
	}
}

func (r Row) vector() []float64 {
	day := 2 * math.Pi * r.Hour / 24
	v := []float64{math.Sin(day), math.Cos(day), math.Sin(2 * day), math.Cos(2 * day)}
	for weekday := 2; weekday <= 7; weekday++ {
		if r.Weekday == weekday {
			v = append(v, 1)
		} else {
			v = append(v, 0)
		}
	}
	return append(v, r.Distance, r.Distance*r.Distance, r.Recent, r.Origin, r.Destination, r.Route)
}

// Train fits a model to rows with Newton's method (gonum optimize). The order
// of rows fixes the order of every sum. It is an error if there is only one
// class to learn, or if the optimizer does not converge.
func Train(rows []Row, before string) (*Model, error) {
	late := 0
	for _, r := range rows {
		if r.Late {
			late++
		}
	}
	if late == 0 || late == len(rows) {
		return nil, fmt.Errorf("%d of the %d flights before %s are late: the model needs some of either kind", late, len(rows), before)
	}
	m := &Model{Names: columns(), Rows: len(rows), Before: before}
	p := m.standardize(rows)
	res, err := optimize.Minimize(
		optimize.Problem{Func: p.loss, Grad: p.gradient, Hess: p.hessian},
		make([]float64, p.n),
		&optimize.Settings{GradientThreshold: 1e-10, MajorIterations: 200, Converger: optimize.NeverTerminate{}},
		&optimize.Newton{},
	)
	if err != nil {
		return nil, fmt.Errorf("optimizer: %w", err)
	}
	if res.Status != optimize.GradientThreshold {
		return nil, fmt.Errorf("optimizer: no convergence after %d iterations: %v", res.MajorIterations, res.Status)
	}
	m.Intercept = round(res.X[0])
	for _, c := range res.X[1:] {
		m.Coefficients = append(m.Coefficients, round(c))
	}
	m.Iterations = res.MajorIterations
	m.Loss = round(p.logLoss(res.X))
	return m, nil
}

// standardize takes means and scales from the training rows and returns the
// problem in their terms.
func (m *Model) standardize(rows []Row) *problem {
	n := len(m.Names)
	m.Means, m.Scales = make([]float64, n), make([]float64, n)
	x := make([][]float64, len(rows))
	for i, r := range rows {
		x[i] = r.vector()
		for j, v := range x[i] {
			m.Means[j] += v
		}
	}
	for j := range m.Means {
		m.Means[j] = round(m.Means[j] / float64(len(rows)))
	}
	for _, v := range x {
		for j := range v {
			d := v[j] - m.Means[j]
			m.Scales[j] += d * d
		}
	}
	for j, s := range m.Scales {
		m.Scales[j] = round(math.Sqrt(s / float64(len(rows))))
		if m.Scales[j] == 0 {
			m.Scales[j] = 1 // a constant column: its coefficient stays 0
		}
	}
	p := &problem{n: n + 1, x: make([][]float64, len(rows)), y: make([]float64, len(rows))}
	for i, r := range rows {
		p.x[i] = m.scaled(x[i])
		if r.Late {
			p.y[i] = 1
		}
	}
	return p
}

// scaled is (1, (v - mean) / scale).
func (m *Model) scaled(v []float64) []float64 {
	z := make([]float64, 1, len(v)+1)
	z[0] = 1
	for j := range v {
		z = append(z, (v[j]-m.Means[j])/m.Scales[j])
	}
	return z
}

// Predict returns the probability that the flight is more than 15 minutes late,
// rounded to 12 significant digits.
func (m *Model) Predict(r Row) float64 {
	z := m.Intercept
	for j, v := range m.scaled(r.vector())[1:] {
		z += m.Coefficients[j] * v
	}
	return round(sigmoid(z))
}

// check refuses a model that was changed on its way.
func (m *Model) check() error {
	if m == nil {
		return errors.New("model: there is none")
	}
	n := len(columns())
	if len(m.Names) != n || len(m.Means) != n || len(m.Scales) != n || len(m.Coefficients) != n {
		return errors.New("model: its lists differ in length")
	}
	return nil
}

// problem is the regularized mean log loss over rows of x, whose first column
// is 1, and its derivatives.
type problem struct {
	n int
	x [][]float64
	y []float64
}

func (p *problem) logLoss(w []float64) float64 {
	sum := 0.0
	for i, x := range p.x {
		// log(1 + exp(z)) - y·z, with no overflow for any z.
		z := dot(w, x)
		sum += math.Max(z, 0) + math.Log1p(math.Exp(-math.Abs(z))) - p.y[i]*z
	}
	return sum / float64(len(p.x))
}

func (p *problem) loss(w []float64) float64 {
	squares := 0.0
	for _, c := range w[1:] {
		squares += c * c
	}
	return p.logLoss(w) + penalty/2*squares
}

func (p *problem) gradient(grad, w []float64) {
	clear(grad)
	for i, x := range p.x {
		d := sigmoid(dot(w, x)) - p.y[i]
		for j, v := range x {
			grad[j] += d * v
		}
	}
	for j := range grad {
		grad[j] /= float64(len(p.x))
		if j > 0 {
			grad[j] += penalty * w[j]
		}
	}
}

func (p *problem) hessian(hess *mat.SymDense, w []float64) {
	h := make([]float64, p.n*p.n)
	for _, x := range p.x {
		s := sigmoid(dot(w, x))
		s *= 1 - s
		for j, v := range x {
			for k := j; k < p.n; k++ {
				h[j*p.n+k] += s * v * x[k]
			}
		}
	}
	for j := range p.n {
		for k := j; k < p.n; k++ {
			v := h[j*p.n+k] / float64(len(p.x))
			if j == k && j > 0 {
				v += penalty
			}
			hess.SetSym(j, k, v)
		}
	}
}

func dot(a, b []float64) float64 {
	sum := 0.0
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}

func sigmoid(z float64) float64 {
	if z >= 0 {
		return 1 / (1 + math.Exp(-z))
	}
	e := math.Exp(z)
	return e / (1 + e)
}

// round keeps 12 significant digits.
func round(v float64) float64 {
	r, err := strconv.ParseFloat(strconv.FormatFloat(v, 'e', 11, 64), 64)
	if err != nil || r == 0 {
		return 0 // and never -0
	}
	return r
}
