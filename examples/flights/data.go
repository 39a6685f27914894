package flights

import (
	"bytes"
	_ "embed"
	"fmt"
	"io"
	"time"
)

//go:embed data/flights.csv
var flightsCSV []byte

//go:embed data/airports.csv
var airportsCSV []byte

// Airport is a row of airports.csv.
type Airport struct {
	IATA, Name, City, State, Country string
	Latitude, Longitude              float64
}

// Flight is a row of flights.csv. Line is where it stands in the file, from 2:
// the identity by which rows are counted at the end.
type Flight struct {
	Line                int
	Departure           time.Time // local to the airport, kept as UTC
	Delay               int       // minutes, negative when early
	Distance            int       // miles
	Origin, Destination string
}

// Reject is a line that is not a flight, and why.
type Reject struct {
	Line   int
	Reason string
	Text   string // the line, made valid UTF-8 without NUL, and cut after 200 bytes
}

// Data is the input of a run: every line after the header is in Flights or in
// Rejects.
type Data struct {
	Source   string // for people
	SHA256   string // of the flights file
	Airports []Airport
	Flights  []Flight
	Rejects  []Reject
}

// Split is the first day of the last month that has flights: what is earlier
// trains the model, the rest evaluates it. For the embedded data it is
// 2001-03-01.
func (d *Data) Split() time.Time {
	var last time.Time
	for _, f := range d.Flights {
		if f.Departure.After(last) {
			last = f.Departure
		}
	}
	return time.Date(last.Year(), last.Month(), 1, 0, 0, 0, 0, time.UTC)
}

// Embedded returns the data that comes with the program: 20,000 flights.
func Embedded() (*Data, error) {
	airports, err := ParseAirports(bytes.NewReader(airportsCSV))
	if err != nil {
		return nil, fmt.Errorf("embedded airports.csv: %w", err)
	}
	return ParseFlights("flights.csv (embedded)", bytes.NewReader(flightsCSV), airports)
}

// Read reads flights from a file of the same shape as flights.csv, with the
// embedded airports. The error is a [*FormatError] if the file has no header.
func Read(name string, r io.Reader) (*Data, error) {
	airports, err := ParseAirports(bytes.NewReader(airportsCSV))
	if err != nil {
		return nil, fmt.Errorf("embedded airports.csv: %w", err)
	}
	return ParseFlights(name, r, airports)
}
