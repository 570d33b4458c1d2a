package linear_test

import (
	"testing"

	"github.com/doppio-cache/doppio/internal/redistest"
)

func TestMain(m *testing.M) { redistest.Main(m) }
