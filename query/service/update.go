package service

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// update is POST /kappa/{ref}: {"paused": true}, {"params": {"n": 500}}, or both.
func (s *Service) update(w http.ResponseWriter, r *http.Request, path map[string]string) {
	body, err := io.ReadAll(r.Body)
	request := &quadratv1.UpdateKappaRequest{}
	if err == nil {
		err = readUpdate(body, request)
	}
	if err == nil && request.GetRef() != "" && request.GetRef() != path["ref"] {
		err = wrongUpdate("ref: the path names another kappa")
	}
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	request.Ref = path["ref"]
	reply, err := s.UpdateKappa(r.Context(), request)
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	s.writeMessage(w, r, http.StatusOK, reply)
}

// readUpdate reads the body field by field, so that a fault is told with the name of its field.
func readUpdate(body []byte, into *quadratv1.UpdateKappaRequest) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return wrongUpdate("it is no JSON object")
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		var err error
		switch value := fields[name]; name {
		case "ref":
			if json.Unmarshal(value, &into.Ref) != nil {
				err = wrongUpdate("ref: a text is expected")
			}
		case "paused":
			if json.Unmarshal(value, &into.Paused) != nil {
				err = wrongUpdate("paused: true or false is expected")
			}
		case "params":
			err = readParams(value, into)
		default:
			err = wrongUpdate(fmt.Sprintf("unknown field %q", name))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func readParams(body []byte, into *quadratv1.UpdateKappaRequest) error {
	var params map[string]json.RawMessage
	if json.Unmarshal(body, &params) != nil {
		return wrongUpdate(`params: an object of numbers is expected`)
	}
	for _, name := range slices.Sorted(maps.Keys(params)) {
		value, err := strconv.ParseFloat(string(params[name]), 64)
		if err != nil {
			return wrongUpdate("params." + name + ": a number is expected")
		}
		if into.Params == nil {
			into.Params = map[string]float64{}
		}
		into.Params[name] = value
	}
	return nil
}

func wrongUpdate(what string) error {
	return &Error{Code: Invalid, Message: `body: JSON like {"paused": true} or {"params": {"n": 500}} is expected: ` + what}
}
