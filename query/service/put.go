package service

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// putKappa is PUT /kappa: 201 with Location for a new kappa, 200 for one that is there.
func (s *Service) putKappa(w http.ResponseWriter, r *http.Request, _ map[string]string) {
	request, err := scriptRequest(r)
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	reply, err := s.PutKappa(r.Context(), request)
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	code := http.StatusOK
	if reply.GetCreated() {
		code = http.StatusCreated
	}
	w.Header().Set("Location", "/kappa/"+reply.GetRef())
	s.writeMessage(w, r, code, reply)
}

// explain is POST /explain.
func (s *Service) explain(w http.ResponseWriter, r *http.Request, _ map[string]string) {
	request, err := scriptRequest(r)
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	reply, err := s.Explain(r.Context(), &quadratv1.ExplainRequest{Script: request.GetScript(), Params: request.GetParams()})
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	s.writeMessage(w, r, http.StatusOK, reply)
}

func (s *Service) writeMessage(w http.ResponseWriter, r *http.Request, code int, m proto.Message) {
	body, err := jsonMarshaler().Marshal(m)
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	s.write(w, append(body, '\n'))
}

// scriptRequest reads a script from a body, as text or as JSON {"script": …, "params": …}, and parameters from the
// query. A body of an undeclared type is JSON when it begins with a brace, which no script does.
func scriptRequest(r *http.Request) (*quadratv1.PutKappaRequest, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, fmt.Errorf("body: %w", err)
	}
	request := &quadratv1.PutKappaRequest{}
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	isJSON := media == "application/json" ||
		media != mediaText && bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{"))
	switch {
	case isJSON:
		if err := protojson.Unmarshal(body, request); err != nil {
			return nil, &Error{Code: Invalid, Message: `body: JSON like {"script": "…", "params": {"n": 400}} is expected: ` + plain(err)}
		}
	case !utf8.Valid(body):
		return nil, &Error{Code: Invalid, Message: "body: a script is UTF-8 text"}
	default:
		request.Script = string(body)
	}
	if strings.TrimSpace(request.GetScript()) == "" {
		return nil, &Error{Code: Invalid, Message: `body: a script is expected, as text/plain or as JSON {"script": "…"}`}
	}
	return request, addParams(request, r.URL.Query())
}

// plain is a protojson error without its prefix, which has a blank that changes.
func plain(err error) string {
	text := err.Error()
	if at := strings.IndexByte(text, ':'); at >= 0 {
		text = strings.TrimSpace(text[at+1:])
	}
	return text
}

// addParams binds the parameters that the query gives, like ?n=400.
func addParams(request *quadratv1.PutKappaRequest, query url.Values) error {
	for name, values := range query {
		value, err := strconv.ParseFloat(values[len(values)-1], 64)
		if err != nil || len(values) != 1 {
			return &Error{Code: Invalid, Message: fmt.Sprintf("parameter %q: one number is expected, like ?%s=400", name, name)}
		}
		if request.GetParams() == nil {
			request.Params = map[string]float64{}
		}
		request.Params[name] = value
	}
	return nil
}
