package api_test

import (
	"encoding/json"
	"encoding/xml"
	"testing"

	sm "faultd/statemachine"
)

// TestInstanceActions_SayWhatSortOfFaultItWas reads the four faults of the table that only a job can have, and some
// others, from the events of what was done with a server.
func TestInstanceActions_SayWhatSortOfFaultItWas(t *testing.T) {
	w := newWorld(t)
	failed := func(server, request string, action sm.Action, code int, message string) sm.Entry {
		return event("t/server/"+server, action, sm.PhaseFailed, job("j-"+request, request), fault(code, message, "trace"))
	}
	started := func(server string, action sm.Action) sm.Entry {
		return event("t/server/"+server, action, sm.PhaseStarted, job("at-work", ""))
	}
	w.apply(
		failed("a", "refused", sm.ActResize, 403, "The flavor is too small"),
		started("b", sm.ActBuild),
		failed("b", "early", sm.ActHardReboot, 409, "Wait until it is built"),
		started("c", sm.ActSnapshot),
		failed("c", "saving", sm.ActResize, 409, "Wait until it is saved"),
		failed("d", "full", sm.ActBuild, 503, "No valid host was found"),
		failed("d", "down", sm.ActRebuild, 503, "The network could not be reached"),
		event("t/server/e", sm.ActBuild, sm.PhaseSucceeded, job("was-at-work", "")),
		failed("e", "alone", sm.ActStop, 409, "It is stopped"),
		started("e", sm.ActResize),
		failed("e", "broken", sm.ActReboot, 500, "Something broke"),
	)
	for request, c := range map[string]struct {
		server, element string
		code            int
	}{
		"refused": {"a", "resizeNotAllowed", 403},
		"early":   {"b", "buildInProgress", 409},
		"saving":  {"c", "backupOrResizeInProgress", 409},
		"full":    {"d", "serverCapacityUnavailable", 503},
		"down":    {"d", "serviceUnavailable", 503},
		"alone":   {"e", "computeFault", 409},
		"broken":  {"e", "computeFault", 500},
	} {
		target := "/compute/v2.1/t/servers/" + c.server + "/os-instance-actions/" + request
		got := w.actionFault(target)
		if got.Code != c.code || got.element != c.element || got.Message == "" || got.Details != "trace" {
			t.Errorf("%s: %+v, want %d %s", target, got, c.code, c.element)
		}
		if inXML := w.actionFaultXML(target + ".xml"); inXML != got {
			t.Errorf("%s: in XML %+v, in JSON %+v", target, inXML, got)
		}
	}
	if list, next := w.listXML("/compute/v2.1/t/servers/d/os-instance-actions.xml"); len(list.Items) != 2 || list.XMLName.Local != "instanceActions" || next != "" {
		t.Errorf("the list of actions: %+v", list)
	}
}

// actionFault is what the last event of an action says went wrong.
type actionFault struct {
	element          string
	Code             int
	Message, Details string
}

func (w *world) actionFault(target string) actionFault {
	w.tb.Helper()
	var doc struct {
		InstanceAction struct {
			Events []struct {
				Fault map[string]json.RawMessage
			}
		}
	}
	w.read(target, &doc)
	events := doc.InstanceAction.Events
	for element, text := range events[len(events)-1].Fault {
		f := actionFault{element: element}
		if err := json.Unmarshal(text, &f); err != nil {
			w.tb.Fatal(err)
		}
		return f
	}
	w.tb.Fatalf("%s: %+v: no fault", target, doc)
	return actionFault{}
}

func (w *world) actionFaultXML(target string) actionFault {
	w.tb.Helper()
	type fault struct {
		XMLName xml.Name
		Code    int    `xml:"code,attr"`
		Message string `xml:"message"`
		Details string `xml:"details"`
	}
	var doc struct {
		XMLName xml.Name `xml:"instanceAction"`
		Action  string   `xml:"action,attr"`
		Project string   `xml:"project_id,attr"`
		Message string   `xml:"message,attr"`
		Events  []struct {
			Event  string  `xml:"event,attr"`
			Result string  `xml:"result,attr"`
			Faults []fault `xml:",any"`
		} `xml:"events"`
	}
	body := w.get(target).Body.Bytes()
	if err := xml.Unmarshal(body, &doc); err != nil || doc.Action == "" || doc.Project != "t" || doc.Message != "Error" || len(doc.Events) != 1 ||
		doc.Events[0].Event == "" || doc.Events[0].Result != "Error" || len(doc.Events[0].Faults) != 1 {
		w.tb.Fatalf("%s: %v: %s", target, err, body)
	}
	f := doc.Events[0].Faults[0]
	if f.XMLName.Space != "http://docs.openstack.org/compute/api/v1.1" {
		w.tb.Errorf("%s: %s", target, body)
	}
	return actionFault{f.XMLName.Local, f.Code, f.Message, f.Details}
}
