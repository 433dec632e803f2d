// Package deploy holds the files with which attune is put on machines to what they say. It is tests only.
package deploy

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"attune/internal/config"

	"go.yaml.in/yaml/v3"
)

// Of a Kubernetes object, what is held here; the rest is kept as it is.
type object struct {
	Kind     string
	Metadata struct{ Name string }
	Data     map[string]string
	Spec     struct {
		PodFailurePolicy struct {
			Rules []struct {
				Action      string
				OnExitCodes struct {
					ContainerName string `yaml:"containerName"`
					Operator      string
					Values        []int
				} `yaml:"onExitCodes"`
			}
		} `yaml:"podFailurePolicy"`
		Template struct {
			Spec struct {
				RestartPolicy                 string  `yaml:"restartPolicy"`
				TerminationGracePeriodSeconds float64 `yaml:"terminationGracePeriodSeconds"`
				SecurityContext               struct {
					RunAsUser int `yaml:"runAsUser"`
				} `yaml:"securityContext"`
				Containers []struct {
					Name, Image  string
					Args         []string
					Resources    struct{ Limits map[string]any }
					VolumeMounts []struct {
						Name      string
						MountPath string `yaml:"mountPath"`
						ReadOnly  bool   `yaml:"readOnly"`
					} `yaml:"volumeMounts"`
				}
				Volumes []struct {
					Name      string
					ConfigMap struct{ Name string } `yaml:"configMap"`
				}
			}
		}
	}
}

// The Job runs the run file that comes with it on one GPU, gives it the time that it takes to save, and starts anew what was
// interrupted but not what would fail again.
func TestKubernetesJob(t *testing.T) {
	b, err := os.ReadFile("kubernetes-job.yaml")
	if err != nil {
		t.Fatal(err)
	}
	objects := map[string]object{}
	for d := yaml.NewDecoder(bytes.NewReader(b)); ; {
		var o object
		if err := d.Decode(&o); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		objects[o.Kind] = o
	}
	job, pod := objects["Job"].Spec, objects["Job"].Spec.Template.Spec
	if len(pod.Containers) != 1 {
		t.Fatalf("%d containers", len(pod.Containers))
	}
	c := pod.Containers[0]

	here := t.TempDir() // in place of the container's root
	path := filepath.Join(here, "run.yaml")
	if err := os.MkdirAll(filepath.Join(here, "data", "model"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"run.yaml":         strings.NewReplacer(" /data/", " "+here+"/data/", " /runs/", " "+here+"/runs/").Replace(objects["ConfigMap"].Data["run.yaml"]),
		"data/train.jsonl": "", "data/eval.jsonl": "",
	} {
		if err := os.WriteFile(filepath.Join(here, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := config.Load(path, nil)
	if err != nil {
		t.Fatalf("the run file: %v", err)
	}
	if cfg.Compute.Device != "cuda" || c.Resources.Limits["nvidia.com/gpu"] != 1 {
		t.Errorf("device %s with %v GPUs", cfg.Compute.Device, c.Resources.Limits["nvidia.com/gpu"])
	}
	if pod.TerminationGracePeriodSeconds < cfg.Checkpoint.Grace+30 {
		t.Errorf("killed after %g s, and a step alone may take %g", pod.TerminationGracePeriodSeconds, cfg.Checkpoint.Grace)
	}
	if !slices.Equal(c.Args, []string{"train", "--config", "/etc/attune/run.yaml", "--resume"}) {
		t.Errorf("started as %q", c.Args)
	}
	mounted := func(file string, write bool) bool {
		file = strings.TrimPrefix(file, here)
		for _, m := range c.VolumeMounts {
			if strings.HasPrefix(file, m.MountPath+"/") && m.ReadOnly != write {
				return slices.ContainsFunc(pod.Volumes, func(v struct {
					Name      string
					ConfigMap struct{ Name string } `yaml:"configMap"`
				}) bool {
					return v.Name == m.Name && (m.MountPath != "/etc/attune" || v.ConfigMap.Name == objects["ConfigMap"].Metadata.Name)
				})
			}
		}
		return false
	}
	for _, file := range []string{"/etc/attune/run.yaml", cfg.Model, cfg.Data.Train[0].Path, cfg.Data.Eval[0].Path} {
		if !mounted(file, false) {
			t.Errorf("%s is on no volume that is mounted to be read", file)
		}
	}
	if !mounted(cfg.RunDir, true) {
		t.Errorf("run_dir %s is on no volume that can be written", cfg.RunDir)
	}

	if pod.RestartPolicy != "Never" { // all that a Job with a podFailurePolicy takes
		t.Errorf("restartPolicy %s", pod.RestartPolicy)
	}
	after := map[int]string{}
	for _, r := range slices.Backward(job.PodFailurePolicy.Rules) { // the first that fits counts
		for _, code := range r.OnExitCodes.Values {
			if r.OnExitCodes.ContainerName != c.Name || r.OnExitCodes.Operator != "In" {
				t.Errorf("a rule of %+v", r.OnExitCodes)
			}
			after[code] = r.Action
		}
	}
	for code, action := range map[int]string{1: "", 2: "FailJob", 3: "FailJob", 4: "FailJob", 130: "Ignore"} {
		if after[code] != action {
			t.Errorf("exit code %d: %q, want %q", code, after[code], action)
		}
	}
}

// The image: what is built is what `make cuda` builds, nothing else is run, and what starts is attune, not as root, with its
// volumes and a look at the GPU that takes nothing of it.
func TestDockerfile(t *testing.T) {
	b, err := os.ReadFile("../../Dockerfile.cuda")
	if err != nil {
		t.Fatal(err)
	}
	said := map[string][]string{}
	var order []string
	for _, line := range strings.Split(strings.ReplaceAll(string(b), "\\\n", " "), "\n") {
		if word, rest, is := strings.Cut(strings.TrimSpace(line), " "); is && !strings.HasPrefix(word, "#") {
			said[word] = append(said[word], rest)
			order = append(order, word)
		}
	}
	for word, want := range map[string][]string{
		"FROM":        {"golang:1.26 AS go", "nvidia/cuda:12.9.1-devel-ubuntu24.04 AS build", "nvidia/cuda:12.9.1-runtime-ubuntu24.04"},
		"RUN":         {"make cuda"},
		"USER":        {"10001:10001"},
		"VOLUME":      {`["/data", "/runs"]`},
		"ENTRYPOINT":  {`["attune"]`},
		"HEALTHCHECK": {`--interval=60s --timeout=30s --start-period=30s CMD ["attune", "doctor", "--device", "cuda", "--probe"]`},
	} {
		if !slices.Equal(said[word], want) {
			t.Errorf("%s %q, want %q", word, said[word], want)
		}
	}
	if last := slices.Index(order[slices.Index(order, "RUN"):], "FROM"); last < 0 {
		t.Error("the last stage builds")
	}
	gomod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if v := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(gomod); v == nil || !strings.HasPrefix(said["FROM"][0], "golang:"+string(v[1])+" ") {
		t.Errorf("built with %s, go.mod says %s", said["FROM"][0], v)
	}
}

// Near the time limit the job is stopped, saved and queued again; cancelled it is stopped and saved; what ends by itself ends
// the job with its own exit code.
func TestSlurm(t *testing.T) {
	bin := t.TempDir()
	log := filepath.Join(bin, "log")
	for name, text := range map[string]string{
		// Saving takes a while; what it is like to be asked twice is attune's own affair.
		"attune": `trap 'echo stopped >>"$LOG"; sleep 0.2; exit 130' TERM
echo "attune $*" >>"$LOG"
case "$*" in *ends*) exit 3 ;; esac
while :; do sleep 0.02; done`,
		"scontrol": `echo "scontrol $*" >>"$LOG"`,
	} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	const started = "attune train --config run.yaml --resume --set compute.device=cuda"
	for _, c := range []struct {
		name   string
		signal os.Signal
		args   []string
		code   int
		log    string
	}{
		{"time limit", syscall.SIGUSR1, nil, 130, started + "\nstopped\nscontrol requeue 42\n"},
		{"cancelled", syscall.SIGTERM, nil, 130, started + "\nstopped\n"},
		{"bad rows", nil, []string{"--set", "x=ends"}, 3, started + " --set x=ends\n"},
	} {
		if err := os.WriteFile(log, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), "bash", append([]string{"slurm.sbatch", "run.yaml"}, c.args...)...)
		cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "LOG="+log, "SLURM_JOB_ID=42")
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if c.signal != nil {
			for { // until attune is there; the test's own time limit ends a wait for nothing
				if b, err := os.ReadFile(log); err != nil {
					t.Fatal(err)
				} else if strings.HasPrefix(string(b), started) {
					break
				}
				time.Sleep(10 * time.Millisecond)
			}
			if err := cmd.Process.Signal(c.signal); err != nil {
				t.Fatal(err)
			}
		}
		_ = cmd.Wait() // the exit code is looked at
		b, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		if code := cmd.ProcessState.ExitCode(); code != c.code || string(b) != c.log {
			t.Errorf("%s: exit %d and\n%swant %d and\n%s", c.name, code, b, c.code, c.log)
		}
	}
}

// The container is given both folders, the caller's user and time to save.
func TestDockerRun(t *testing.T) {
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "docker"), []byte("#!/bin/sh\necho \"$*\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	data, runs := t.TempDir(), filepath.Join(t.TempDir(), "runs") // which is made, as the user's
	cmd := exec.CommandContext(t.Context(), "bash", "docker-run.sh", data, runs, "train", "-c", "/data/run.yaml", "--resume")
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "GPUS=device=1")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{" --init --interactive ", " --gpus device=1 ", " --stop-timeout 180 ", " --volume " + data + ":/data:ro ", " --volume " + runs + ":/runs ", " attune train -c /data/run.yaml --resume\n"} {
		if !strings.Contains(string(out), part) {
			t.Errorf("no %q in docker %s", part, out)
		}
	}
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{data, runs}, "environment: IMAGE (attune), NAME (attune), GPUS (all; device=0 for one)\n"},
		{[]string{filepath.Join(data, "missing"), runs, "version"}, "there is no directory " + filepath.Join(data, "missing") + "\n"},
	} {
		cmd := exec.CommandContext(t.Context(), "bash", append([]string{"docker-run.sh"}, c.args...)...)
		cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
		var said bytes.Buffer
		cmd.Stderr = &said
		if err := cmd.Run(); err == nil || cmd.ProcessState.ExitCode() != 2 || !strings.HasSuffix(said.String(), c.says) {
			t.Errorf("docker-run.sh %q: %v, and it says %s", c.args, err, said.String())
		}
	}
}
