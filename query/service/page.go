package service

import (
	"bytes"
	"html/template"
	"net/http"
)

// pageText is the page for people at /. It needs no script and loads nothing.
const pageText = `<!doctype html>
<html lang="en">
<meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Quadrat</title>
<style>
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #ccc}
code{font-size:.9em}
</style>
<h1>Quadrat</h1>
<p>This server answers questions about a fleet from small random panels of noisy reports.
Its API is described in <a href="/openapi.json">openapi.json</a>; see also <a href="/devices">devices</a>,
<a href="/metrics">metrics</a>, <a href="/healthz">health</a> and <a href="/readyz">readiness</a>.</p>
<h2>Kappas</h2>
{{if .}}<table>
<thead><tr><th>Reference<th>Name<th>State<th>Revision<th>Deployed<th></thead>
{{range .}}<tr><td><a href="/kappa/{{.GetRef}}">{{.GetRef}}</a><td>{{.GetName}}<td>{{.GetState}}<td>{{.GetRevision}}
<td>{{.GetCreated.AsTime.Format "2006-01-02 15:04:05"}} UTC<td><a href="/kappa/{{.GetRef}}/plan">plan</a></tr>
{{end}}</table>{{else}}<p>None is deployed. Deploy one:
<code>curl -X PUT -H 'Content-Type: text/plain' --data-binary @question.sql {{"http://…/kappa"}}</code></p>{{end}}
</html>
`

// page lists kappas and links for people.
func (s *Service) page(w http.ResponseWriter, r *http.Request) {
	page, err := template.New("page").Parse(pageText)
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	var body bytes.Buffer
	if err := page.Execute(&body, s.kappas()); err != nil {
		s.writeError(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	s.write(w, body.Bytes())
}
