package breaker

import "math"

// fewest is the number of failures below which nothing trips: a single incident
// often fails two or three calls at once, which the independence that the test supposes does not know.
const fewest = 4

// maxLimit bounds the threshold of a test, and so the work of finding it.
const maxLimit = 1024

// design returns the Bernoulli CUSUM that tells a healthy failure rate p0 from
// a bad one p1, with the wanted mean number of healthy calls between two false
// trips:
//
//	S ← S + climb on a failure;  S ← max(0, S − 1) on a success;  trip at S ≥ limit
//
// It is Page's test of the likelihood ratio (Page, "Continuous Inspection
// Schemes", Biometrika 41, 1954), scaled so that a success weighs one:
// climb = ln(p1/p0) / ln((1−p0)/(1−p1)), rounded down, which makes the score a
// whole number and its run length exact (Reynolds and Stoumbos, "A CUSUM chart
// for monitoring a proportion when inspecting continuously", Journal of Quality
// Technology 31, 1999).
//
// e^h is a lower bound of the run length and a loose one; the limit found here
// is the smallest whose true mean is the wanted one (and asks for at least fewest failures). The mean is that of the
// Markov chain of Brook and Evans ("An approach to the probability distribution of cusum
// run length", Biometrika 59, 1972), solved by recursion on the distance d from the limit:
// q(d) is the chance to come down one step before tripping, t(d) the mean number of calls until either.
func design(p0, p1, falseTripEvery float64) (climb, limit int) {
	climb = max(1, int(math.Log(p1/p0)/math.Log((1-p0)/(1-p1))))
	var q, t [maxLimit]float64
	for d := 1; d < maxLimit; d++ {
		// From d, a failure leads to d−climb; stay is the chance to come back
		// from there to d, back the mean number of calls until that or a trip.
		stay, back := 0.0, 0.0
		if d > climb {
			stay = 1
			for j := d - 1; j >= d-climb; j-- {
				back = t[j] + q[j]*back
				stay *= q[j]
			}
		}
		// With S = 0 at distance d, a success changes nothing.
		if (1+p0*back)/(p0*(1-stay)) >= falseTripEvery {
			return climb, max(d, (fewest-1)*climb+1)
		}
		q[d] = (1 - p0) / (1 - p0*stay)
		t[d] = (1 + p0*back) / (1 - p0*stay)
	}
	return climb, maxLimit
}
