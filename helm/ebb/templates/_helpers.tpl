{{/* SPDX-License-Identifier: Apache-2.0 */}}

{{- define "ebb.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "ebb.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains (include "ebb.name" .) .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "ebb.name" .) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "ebb.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end -}}

{{/* What pods are selected by. "component": agent, detach or test. */}}
{{- define "ebb.selector" -}}
app.kubernetes.io/name: {{ include "ebb.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component | default "agent" }}
{{- end -}}

{{/* The same and what everything has, but for the version: a new chart alone starts no pod again. */}}
{{- define "ebb.podLabels" -}}
{{ include "ebb.selector" . }}
app.kubernetes.io/part-of: ebb
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/*
The metadata of an object, with "root" and, where they are not as usual, "name", "namespace" ("-": it has none), "component",
"labels" and "annotations".
*/}}
{{- define "ebb.metadata" -}}
name: {{ .name | default (include "ebb.fullname" .root) }}
{{- if ne (.namespace | default "") "-" }}
namespace: {{ .namespace | default (include "ebb.namespace" .root) }}
{{- end }}
labels:
  {{- include "ebb.podLabels" . | nindent 2 }}
  app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
  app.kubernetes.io/managed-by: {{ .root.Release.Service }}
  helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge (dict) (.annotations | default dict) .root.Values.commonAnnotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "ebb.image" -}}
{{- $registry := default .Values.image.registry .Values.global.imageRegistry -}}
{{- with $registry }}{{ . }}/{{ end }}{{ .Values.image.repository }}
{{- if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ default .Chart.AppVersion .Values.image.tag }}{{ end -}}
{{- end -}}

{{- define "ebb.pullSecrets" -}}
{{- with concat .Values.global.imagePullSecrets .Values.imagePullSecrets | uniq -}}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end -}}
{{- end -}}

{{- define "ebb.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "ebb.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "ebb.configMapName" -}}
{{- default (include "ebb.fullname" .) .Values.existingConfigMap -}}
{{- end -}}

{{/* What the agent and its commands may do on the node: nothing else, whatever the image says. */}}
{{- define "ebb.securityContext" -}}
runAsUser: 0
runAsGroup: 0
privileged: false
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
  add:
    - BPF
    - NET_ADMIN
    - PERFMON
    {{- if .Values.resetConnections }}
    - SYS_ADMIN
    - SYS_PTRACE
    {{- end }}
    {{- if .Values.realtimePriority }}
    - SYS_NICE
    {{- end }}
    {{- with .Values.extraCapabilities }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
seccompProfile: {{- toYaml .Values.seccompProfile | nindent 2 }}
{{- with .Values.seLinuxOptions }}
seLinuxOptions: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "ebb.nodeVolumes" -}}
- name: bpf
  hostPath: {path: {{ .Values.paths.bpf }}, type: Directory}
- name: cgroup
  hostPath: {path: {{ .Values.paths.cgroup }}, type: Directory}
- name: run
  hostPath: {path: {{ .Values.paths.run }}, type: DirectoryOrCreate}
{{- end -}}

{{- define "ebb.nodeMounts" -}}
- {name: bpf, mountPath: /sys/fs/bpf}
- {name: cgroup, mountPath: /sys/fs/cgroup, readOnly: true}
- {name: run, mountPath: /run/ebb}
{{- end -}}

{{- define "ebb.placement" -}}
{{- $placement := dict -}}
{{- range $key := list "priorityClassName" "nodeSelector" "tolerations" "affinity" -}}
{{- with get $.Values $key -}}
{{- $_ := set $placement $key . -}}
{{- end -}}
{{- end -}}
{{- with $placement -}}
{{- toYaml . -}}
{{- end -}}
{{- end -}}

{{/* What was asked for and cannot be: one line that says what to do. */}}
{{- define "ebb.check" -}}
{{- if hasKey .Values.config "listen" -}}
{{- fail "config.listen: set port (and hostNetwork) instead, so that probes and the Service know it" -}}
{{- end -}}
{{- range $key := list "source" "node" "token_file" "ca_file" "kubelet" "verify" -}}
{{- if hasKey ($.Values.config.kubernetes | default dict) $key -}}
{{- fail (printf "config.kubernetes.%s: the chart says it, by the values below kubernetes" $key) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.configFile .Values.existingConfigMap -}}
{{- fail "configFile and existingConfigMap: give one of them" -}}
{{- end -}}
{{- if and .Values.serviceMonitor.enabled .Values.podMonitor.enabled -}}
{{- fail "serviceMonitor and podMonitor: enable one of them, or everything is scraped twice" -}}
{{- end -}}
{{- if and .Values.serviceMonitor.enabled (not .Values.service.enabled) -}}
{{- fail "serviceMonitor needs service.enabled; podMonitor does not" -}}
{{- end -}}
{{- if and .Values.image.digest (not (hasPrefix "sha256:" .Values.image.digest)) -}}
{{- fail "image.digest: like sha256:..." -}}
{{- end -}}
{{- end -}}
