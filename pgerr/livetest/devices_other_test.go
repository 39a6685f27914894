//go:build !linux

package livetest

// deviceConditions is empty where no device fails on demand.
func deviceConditions() []statement { return nil }
