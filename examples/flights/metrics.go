package flights

import (
	"errors"
	"math"
	"slices"
)

// Metrics says how good predictions are for flights that the model never saw.
type Metrics struct {
	Rows        int     `json:"rows"`
	Late        int     `json:"late"`
	AUC         float64 `json:"auc"`
	LogLoss     float64 `json:"log_loss"`
	BaseLogLoss float64 `json:"base_log_loss"` // of predicting the share of late flights in training for each
	Brier       float64 `json:"brier"`
	Calibration []Bin   `json:"calibration"` // tenths of the flights by rising prediction
}

// Bin is a row of the calibration table: flights of similar prediction.
type Bin struct {
	Rows      int     `json:"rows"`
	Predicted float64 `json:"predicted"` // mean
	Observed  float64 `json:"observed"`  // share that was late
}

// Evaluate compares the predicted probabilities with what happened. base is the
// share of late flights in training. It is an error if there are flights of one
// kind only, because then nothing can be told apart.
func Evaluate(late []bool, predicted []float64, base float64) (*Metrics, error) {
	m := &Metrics{Rows: len(late)}
	for i, p := range predicted {
		y := 0.0
		if late[i] {
			y = 1
			m.Late++
		}
		m.LogLoss += logLoss(p, late[i])
		m.BaseLogLoss += logLoss(base, late[i])
		m.Brier += (p - y) * (p - y)
	}
	if m.Late == 0 || m.Late == m.Rows {
		return nil, errors.New("there are not both late and punctual flights to evaluate the model with")
	}
	n := float64(m.Rows)
	m.LogLoss, m.BaseLogLoss, m.Brier = round(m.LogLoss/n), round(m.BaseLogLoss/n), round(m.Brier/n)

	order := make([]int, m.Rows)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case predicted[a] < predicted[b]:
			return -1
		case predicted[a] > predicted[b]:
			return 1
		}
		return 0
	})
	m.AUC = auc(order, late, predicted, m.Late)
	m.Calibration = calibrate(order, late, predicted)
	return m, nil
}

func logLoss(p float64, late bool) float64 {
	if !late {
		p = 1 - p
	}
	return -math.Log(math.Max(p, 1e-15))
}

// auc is the Mann–Whitney statistic: the share of pairs of a late and a
// punctual flight in which the late one has the higher prediction, equal ones
// counting half. Ranks are whole or half numbers, so the sum is exact.
func auc(order []int, late []bool, predicted []float64, positives int) float64 {
	sum := 0.0
	for i := 0; i < len(order); {
		j := i
		for j < len(order) && predicted[order[j]] == predicted[order[i]] {
			j++
		}
		rank := float64(i+1+j) / 2
		for ; i < j; i++ {
			if late[order[i]] {
				sum += rank
			}
		}
	}
	p, n := float64(positives), float64(len(order)-positives)
	return round((sum - p*(p+1)/2) / (p * n))
}

func calibrate(order []int, late []bool, predicted []float64) []Bin {
	const bins = 10
	var out []Bin
	for b := range bins {
		part := order[b*len(order)/bins : (b+1)*len(order)/bins]
		if len(part) == 0 {
			continue
		}
		bin := Bin{Rows: len(part)}
		for _, i := range part {
			bin.Predicted += predicted[i]
			if late[i] {
				bin.Observed++
			}
		}
		bin.Predicted = round(bin.Predicted / float64(bin.Rows))
		bin.Observed = round(bin.Observed / float64(bin.Rows))
		out = append(out, bin)
	}
	return out
}
