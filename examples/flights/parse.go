package flights

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

var (
	flightColumns  = []string{"departure", "delay_minutes", "distance_miles", "origin", "destination"}
	airportColumns = []string{"iata", "name", "city", "state", "country", "latitude", "longitude"}
	bom            = []byte("\xEF\xBB\xBF")
)

// FormatError says that a file is not what it should be, as a whole.
type FormatError struct {
	File string
	Why  string
	Want []string // the header
}

// Error names the file, what is wrong with it and the header that it should have.
func (e *FormatError) Error() string {
	return fmt.Sprintf("%s: %s, want the header %s", e.File, e.Why, strings.Join(e.Want, ","))
}

// ParseFlights reads flights in the shape of flights.csv. A line that is not a
// flight becomes a Reject, and no line stops the rest. The error is a
// [*FormatError] if the header is missing, else that of reading r.
func ParseFlights(source string, r io.Reader, airports []Airport) (*Data, error) {
	d := &Data{Source: source, Airports: airports}
	known := make(map[string]bool, len(airports))
	for _, a := range airports {
		known[a.IATA] = true
	}
	sum := sha256.New()
	err := eachRecord(source, io.TeeReader(r, sum), flightColumns, func(l line) error {
		f, err := parseFlight(l, known)
		if err != nil {
			d.Rejects = append(d.Rejects, Reject{Line: l.number, Reason: err.Error(), Text: l.excerpt()})
			return nil //nolint:nilerr // a bad line is data, not a failure
		}
		d.Flights = append(d.Flights, f)
		return nil
	})
	if err != nil {
		return nil, err
	}
	d.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return d, nil
}

// ParseAirports reads airports in the shape of airports.csv. This file is part
// of the program, so a bad line is an error.
func ParseAirports(r io.Reader) ([]Airport, error) {
	var out []Airport
	err := eachRecord("airports", r, airportColumns, func(l line) error {
		f, err := l.columns(len(airportColumns))
		if err != nil {
			return fmt.Errorf("line %d: %w", l.number, err)
		}
		lat, err1 := strconv.ParseFloat(f[5], 64)
		lon, err2 := strconv.ParseFloat(f[6], 64)
		if err := errors.Join(err1, err2); err != nil {
			return fmt.Errorf("line %d: %w", l.number, err)
		}
		out = append(out, Airport{IATA: f[0], Name: f[1], City: f[2], State: f[3], Country: f[4], Latitude: lat, Longitude: lon})
		return nil
	})
	return out, err
}

// eachRecord checks the first line and calls fn for the others.
func eachRecord(source string, r io.Reader, want []string, fn func(line) error) error {
	header := false
	err := eachLine(r, func(l line) error {
		if l.number > 1 {
			return fn(l)
		}
		header = true
		l.text = bytes.TrimPrefix(l.text, bom)
		got, err := l.fields()
		if err != nil {
			return &FormatError{File: source, Why: "the first line is no header (" + err.Error() + ")", Want: want}
		}
		if !slices.EqualFunc(got, want, strings.EqualFold) {
			return &FormatError{File: source, Why: fmt.Sprintf("the first line is %.80q", l.excerpt()), Want: want}
		}
		return nil
	})
	if err == nil && !header {
		return &FormatError{File: source, Why: "the file is empty", Want: want}
	}
	return err
}

func (l line) columns(n int) ([]string, error) {
	f, err := l.fields()
	if err != nil {
		return nil, err
	}
	if len(f) != n {
		return nil, fmt.Errorf("wrong column count: %d, want %d", len(f), n)
	}
	return f, nil
}

func parseFlight(l line, known map[string]bool) (Flight, error) {
	c, err := l.columns(len(flightColumns))
	if err != nil {
		return Flight{}, err
	}
	f := Flight{Line: l.number, Origin: c[3], Destination: c[4]}
	if f.Departure, err = time.Parse("2006-01-02 15:04", c[0]); err != nil || f.Departure.Year() < 1 {
		return Flight{}, fmt.Errorf("impossible date: %.40q", c[0])
	}
	if f.Delay, err = whole(c[1]); err != nil {
		return Flight{}, fmt.Errorf("non-numeric delay: %.40q", c[1])
	}
	if f.Distance, err = whole(c[2]); err != nil || f.Distance < 0 {
		return Flight{}, fmt.Errorf("non-numeric distance: %.40q", c[2])
	}
	for _, iata := range c[3:] {
		if !known[iata] {
			return Flight{}, fmt.Errorf("unknown airport: %.40q", iata)
		}
	}
	return f, nil
}

// whole parses minutes or miles. More than seven digits are neither.
func whole(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err == nil && (n > 9_999_999 || n < -9_999_999) {
		return 0, strconv.ErrRange
	}
	return n, err
}
