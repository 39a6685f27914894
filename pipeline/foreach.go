package pipeline

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// itemsOf names the elements of a JSON list, as Step.ForEach says.
func itemsOf(raw json.RawMessage) ([]Item, error) {
	if raw = bytes.TrimSpace(raw); len(raw) == 0 || raw[0] != '[' {
		return nil, fmt.Errorf("is %s, want a list", kindOf(raw))
	}
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, err
	}
	items := make([]Item, len(list))
	first := make(map[string]int, len(list))
	for i, value := range list {
		name := itemName(value, i)
		if j, taken := first[name]; taken {
			return nil, fmt.Errorf("elements %d and %d are both named %q: give objects with different names", j, i, name)
		}
		first[name] = i
		items[i] = Item{Name: name, Value: value}
	}
	return items, nil
}

func itemName(value json.RawMessage, i int) string {
	name := ""
	switch value = bytes.TrimSpace(value); value[0] {
	case '"':
		if json.Unmarshal(value, &name) != nil {
			name = ""
		}
	case '{':
		var o struct {
			Name json.RawMessage `json:"name"`
		}
		if json.Unmarshal(value, &o) == nil && len(o.Name) > 0 && o.Name[0] != '{' {
			return itemName(o.Name, i)
		}
	default:
		if _, err := strconv.ParseInt(string(value), 10, 64); err == nil {
			name = string(value)
		}
	}
	if badName(name) != "" {
		return "item-" + strconv.Itoa(i)
	}
	return name
}
