// Package config reads what "perdure serve" is told: by flags, by variables of
// the environment, by a file, in this order of precedence.
//
// The file is strict YAML: unknown and doubled keys, wrong types, values out of
// range and everything else that would otherwise be guessed at are faults, and
// all faults are told at once, each with its place and what to do about it.
// Nothing in it is expanded: neither variables nor anchors.
package config

//go:generate go run ./internal/gendoc -root ../../../.. -o ../../../../docs/configuration.md
