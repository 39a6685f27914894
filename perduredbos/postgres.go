package perduredbos

import (
	"context"
	"errors"
)

func openPostgres(context.Context, string, string) (state, error) { return nil, errors.New("later") }
