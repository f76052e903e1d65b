//go:build campaign

package alert

import (
	"os"
	"strings"
	"time"
)

// A campaign cannot wait for three days until a message is given up: $FAULTD_HOOK_RETRIES says the delays, such as
// 200ms,500ms,1s. All else stays as it is.
func init() {
	text := os.Getenv("FAULTD_HOOK_RETRIES")
	if text == "" {
		return
	}
	var retries []time.Duration
	for one := range strings.SplitSeq(text, ",") {
		d, err := time.ParseDuration(one)
		if err != nil {
			panic("FAULTD_HOOK_RETRIES: " + err.Error())
		}
		retries = append(retries, d)
	}
	defaultPace.retries = retries
}
