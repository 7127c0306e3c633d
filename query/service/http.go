package service

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// Handler is the REST API, and what stands beside it: health, readiness, metrics, the API's description and a page for
// people.
func (s *Service) Handler() (http.Handler, error) {
	gateway := runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, jsonMarshaler()),
		runtime.WithErrorHandler(s.writeGatewayError),
		runtime.WithRoutingErrorHandler(s.writeRoutingError),
		runtime.WithForwardResponseOption(forward),
		runtime.WithDisablePathLengthFallback(),
		runtime.WithDisableHTTPMethodOverride(),
	)
	if err := quadratv1.RegisterKappaServiceHandlerServer(context.Background(), gateway, s); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	// Later handlers stand before earlier ones.
	for _, route := range []struct {
		method, path string
		handle       runtime.HandlerFunc
	}{
		{http.MethodPut, "/kappa", s.putKappa},
		{http.MethodPost, "/explain", s.explain},
		{http.MethodPost, "/query", s.query},
		{http.MethodGet, "/kappa/{ref}", s.getResults},
		{http.MethodPost, "/kappa/{ref}", s.update},
		{http.MethodGet, "/kappa/{ref}/export", s.export},
	} {
		if err := gateway.HandlePath(route.method, route.path, route.handle); err != nil {
			return nil, fmt.Errorf("gateway: %w", err)
		}
	}
	mux := http.NewServeMux()
	mux.Handle("/", gateway)
	mux.HandleFunc("GET /{$}", s.page)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { s.writeText(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.cfg.Registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		s.write(w, s.openAPI)
	})
	// A page of another site, open in a browser beside the server, must not pause a kappa.
	own := http.NewCrossOriginProtection()
	own.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.writeStatus(w, r, status.New(codes.PermissionDenied, "a request from another site's page"), http.StatusForbidden)
	}))
	return s.guard(own.Handler(mux)), nil
}

// forward sets what the gateway can't know: 204 for a deletion.
func forward(_ context.Context, w http.ResponseWriter, m proto.Message) error {
	if _, ok := m.(*quadratv1.DeleteKappaResponse); ok {
		w.Header().Del("Content-Type")
		w.WriteHeader(http.StatusNoContent)
	}
	return nil
}

// open are the paths that need no token.
func open(path string) bool { return path == "/healthz" || path == "/readyz" }

// guard is what every request passes: counting, panics, the token, the bound on its body.
func (s *Service) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun := time.Now()
		watched := &statusWriter{ResponseWriter: w}
		defer func() {
			p := recover()
			if p != nil && !errors.Is(asError(p), http.ErrAbortHandler) {
				s.writeError(watched, r, recovered(p, nil))
			}
			s.count(r, watched, time.Since(begun))
			if p != nil && watched.status != 0 {
				panic(http.ErrAbortHandler) // the answer had begun: the caller must see that it is broken
			}
		}()
		watched.Header().Set("X-Content-Type-Options", "nosniff")
		if s.cfg.Token != "" && !open(r.URL.Path) && !s.authorized(r.Header.Get("Authorization")) {
			s.writeError(watched, r, errNoToken())
			return
		}
		r.Body = http.MaxBytesReader(watched, r.Body, s.cfg.BodyBytesMax)
		next.ServeHTTP(watched, r)
	})
}

func asError(p any) error {
	err, _ := p.(error)
	return err
}

func (s *Service) count(r *http.Request, w *statusWriter, took time.Duration) {
	method := r.Method
	switch method {
	case http.MethodGet, http.MethodPut, http.MethodPost, http.MethodDelete, http.MethodHead:
	default:
		method = "other"
	}
	s.metrics.requests.WithLabelValues(method, strconv.Itoa(orElse(w.status, http.StatusOK))).Inc()
	if !w.streams {
		s.metrics.seconds.WithLabelValues(method).Observe(took.Seconds())
	}
}

// statusWriter remembers the status, and whether the answer is a stream.
type statusWriter struct {
	http.ResponseWriter

	status  int
	streams bool
}

// WriteHeader notes the status.
func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write begins the answer with 200 when nothing else has.
func (w *statusWriter) Write(p []byte) (int, error) {
	w.status = orElse(w.status, http.StatusOK)
	return w.ResponseWriter.Write(p) //nolint:wrapcheck // a writer passes errors on
}

// Unwrap lets http.ResponseController reach the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (s *Service) readyz(w http.ResponseWriter, r *http.Request) {
	err := s.Ready()
	if err == nil && s.cfg.Fault != nil {
		err = s.cfg.Fault()
		if _, known := errors.AsType[*Error](err); err != nil && !known {
			err = &Error{Code: Unavailable, Message: "no results are made now; the server's log says why"}
		}
	}
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	s.writeText(w, http.StatusOK, "ok\n")
}

func (s *Service) writeText(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	s.write(w, []byte(text))
}

// write sends a body. A caller who has gone is no fault.
func (s *Service) write(w http.ResponseWriter, body []byte) {
	if _, err := w.Write(body); err != nil && !errors.Is(err, http.ErrBodyNotAllowed) {
		s.cfg.Logger.Debug("answer not delivered", "error", err)
	}
}

// writeGatewayError is how the gateway answers an error.
func (s *Service) writeGatewayError(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, err error) {
	if routed, ok := errors.AsType[*runtime.HTTPStatusError](err); ok {
		st := status.Convert(routed.Err)
		s.writeStatus(w, r, st, routed.HTTPStatus)
		return
	}
	s.writeError(w, r, err)
}

// writeRoutingError is how the gateway answers a request that no call matches: with the code that HTTP has for it.
func (s *Service) writeRoutingError(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, code int) {
	message := strings.ToLower(http.StatusText(code))
	if allowed := s.allowed(r.URL.Path); len(allowed) > 0 {
		code = http.StatusMethodNotAllowed // also where the gateway has no call of another method for it
		w.Header().Set("Allow", strings.Join(allowed, ", "))
	}
	switch code {
	case http.StatusNotFound:
		s.writeStatus(w, r, status.New(codes.NotFound, message), code)
	case http.StatusMethodNotAllowed:
		s.writeStatus(w, r, status.Newf(codes.Unimplemented, "%s takes no %s", r.URL.Path, r.Method), code)
	default:
		s.writeStatus(w, r, status.New(codes.InvalidArgument, message), code)
	}
}

// writeError answers with {code, message, details}.
func (s *Service) writeError(w http.ResponseWriter, r *http.Request, err error) {
	if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
		s.writeStatus(w, r, status.Newf(codes.InvalidArgument, "the body has more than %d bytes", large.Limit),
			http.StatusRequestEntityTooLarge)
		return
	}
	st, known := statusOf(err)
	if !known {
		s.cfg.Logger.Error("request failed", "method", r.Method, "error", err)
	}
	s.writeStatus(w, r, st, httpStatus(st.Code()))
}

func (s *Service) writeStatus(w http.ResponseWriter, r *http.Request, st *status.Status, code int) {
	if sw, ok := w.(*statusWriter); ok && sw.status != 0 {
		panic(http.ErrAbortHandler) // too late for a status
	}
	if strings.Contains(st.Message(), "request body too large") {
		code = http.StatusRequestEntityTooLarge
	}
	if code == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="quadrat"`)
	}
	body, err := jsonMarshaler().Marshal(st.Proto())
	if err != nil {
		body = []byte(`{"code":13,"message":"the error can't be told","details":[]}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	if r.Method != http.MethodHead {
		s.write(w, append(body, '\n'))
	}
}
