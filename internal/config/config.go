// Package config is the run file: one typed struct with its defaults, read through viper from YAML, TOML or JSON,
// ATTUNE_* variables and --set key=value, checked as a whole before anything else happens. It is the only importer
// of viper. Names are those that users know from PEFT and transformers.
package config

// Config is a run. The tags are its documentation, its JSON Schema, what Load holds a key to and the file that `attune init`
// writes: key, doc; enum, the words there are; need, the complaint where it is empty; min, over, max and below, the bounds of
// a number (over and below are not within); auto, where the word auto stands for 0.
type Config struct {
	Model          string         `key:"model" need:"is missing; set it to a Hugging Face model directory" doc:"Hugging Face model directory"`
	Template       string         `key:"template" doc:"chat template: auto = the model's own, a .jinja file, or chatml | zephyr | llama3 | alpaca"`
	TemplateKwargs map[string]any `key:"template_kwargs" doc:"further variables of the chat template, such as {enable_thinking: false}"`
	System         string         `key:"system" doc:"system prompt given to conversations that have none"`
	SystemRatio    float64        `key:"system_ratio" min:"0" max:"1" doc:"share of the examples that carry the system prompt"`
	Data           Data           `key:"data" doc:"which rows are read, and how they become examples"`
	Method         string         `key:"method" enum:"lora|full" doc:"lora trains an adapter, full trains every weight"`
	LoRA           LoRA           `key:"lora" doc:"the adapter (Hu et al. 2021); only with method: lora"`
	Train          Train          `key:"train" doc:"the optimization"`
	Compute        Compute        `key:"compute" doc:"where and in what precision the run computes"`
	Eval           Eval           `key:"eval" doc:"the loss on held-out rows during training"`
	Checkpoint     Checkpoint     `key:"checkpoint" doc:"how a run survives being stopped"`
	Guard          Guard          `key:"guard" doc:"what happens at a step whose numbers go wrong"`
	RunDir         string         `key:"run_dir" need:"is missing; name the directory this run shall fill" doc:"directory of this run; refused if it holds one, unless --resume"`
}

// Data says which rows are read and how they become examples.
type Data struct {
	Train       []Source `key:"train" need:"is missing; name at least one file: train: [{path: rows.jsonl}]" doc:"files of rows to train on"`
	Eval        []Source `key:"eval" doc:"held-out files"`
	MaxLength   int      `key:"max_length" min:"8" doc:"longest example, in tokens"`
	Overlength  string   `key:"overlength" enum:"error|truncate|split|drop" doc:"what happens to a longer one; counted and reported"`
	MaxCutShare float64  `key:"max_cut_share" min:"0" max:"1" doc:"most of a file's rows that overlength may cut or leave out; 1 = all of them"`
	TrainOn     string   `key:"train_on" enum:"all|last" doc:"which assistant turns are trained"`
	Shuffle     bool     `key:"shuffle" doc:"a new order each epoch, by train.seed"`
}

// Source is one file of rows. Its bounds are what data/loader takes (MaxShare there): this package is below it and cannot ask.
type Source struct {
	Path   string  `key:"path" need:"is missing; name a file" doc:"JSON lines or a JSON array"`
	Format string  `key:"format" enum:"auto|instruction|input_output|messages|conversations|text" doc:"schema of the rows"`
	Weight float64 `key:"weight" over:"0" max:"10000" doc:"share of the file's rows taken in each epoch: 1 = all, 0.5 = half"`
	Repeat int     `key:"repeat" min:"1" max:"10000" doc:"times the file is read in each epoch"`
}

// LoRA is the adapter (Hu et al. 2021), in PEFT's words.
type LoRA struct {
	R                   int      `key:"r" min:"1" doc:"rank"`
	Alpha               float64  `key:"alpha" over:"0" doc:"scale is alpha/r (alpha/sqrt(r) with use_rslora)"`
	Dropout             float64  `key:"dropout" min:"0" below:"1" doc:"dropout on the adapter's input"`
	TargetModules       []string `key:"target_modules" need:"is empty; set all-linear or names such as [q_proj, v_proj]" doc:"all-linear (every linear layer but the output head), or names of linear layers, or one regular expression"`
	UseRSLoRA           bool     `key:"use_rslora" doc:"rank-stabilised scale (Kalajdzievski 2023)"`
	InitFrom            string   `key:"init_from" doc:"PEFT adapter directory to start from"`
	AllowTemplateChange bool     `key:"allow_template_change" doc:"train on from a model, an adapter or a checkpoint that was trained with another chat template, tokenizer or special tokens, or an adapter of another base model"`
}

// Train is the optimization. The most epochs are data/loader's (MaxEpochs there).
type Train struct {
	Epochs          float64 `key:"epochs" min:"0" max:"1000000" doc:"passes over the data"`
	Steps           int     `key:"steps" min:"0" doc:"optimizer steps; over 0 it stands instead of epochs"`
	ExamplesPerStep int     `key:"examples_per_step" min:"1" doc:"examples of one optimizer step, whatever the hardware"`
	LearningRate    float64 `key:"learning_rate" over:"0" doc:"peak learning rate"`
	LRScheduler     string  `key:"lr_scheduler" enum:"constant|linear|cosine" doc:"how the rate goes on after warm-up; linear and cosine end at 0"`
	WarmupSteps     int     `key:"warmup_steps" min:"0" doc:"steps of linear warm-up"`
	WarmupRatio     float64 `key:"warmup_ratio" min:"0" max:"1" doc:"the same as a share of all steps; warmup_steps over 0 goes first"`
	WeightDecay     float64 `key:"weight_decay" min:"0" doc:"decoupled, on matrices; norms and biases do not decay"`
	MaxGradNorm     float64 `key:"max_grad_norm" min:"0" doc:"gradient clipping by global norm; 0 = off"`
	Adam            Adam    `key:"adam" doc:"AdamW's constants"`
	Seed            int     `key:"seed" min:"0" doc:"of shuffling, dropout and new adapters"`
}

// Adam holds AdamW's constants (Loshchilov & Hutter 2017).
type Adam struct {
	Beta1   float64 `key:"beta1" min:"0" below:"1" doc:"decay of the gradients' running mean"`
	Beta2   float64 `key:"beta2" min:"0" below:"1" doc:"decay of the squared gradients' running mean"`
	Epsilon float64 `key:"epsilon" over:"0" doc:"added to the divisor, the root of the squared gradients' mean"`
}

// Compute is where and in what precision the run computes.
type Compute struct {
	Device           string `key:"device" enum:"auto|cpu|cuda" doc:"auto = what there is"`
	Dtype            string `key:"dtype" enum:"auto|float32|bfloat16" doc:"of frozen weights and activations; auto = bfloat16 where the hardware is faster with it"`
	MicroBatchTokens int    `key:"micro_batch_tokens" auto:"0" min:"64" doc:"tokens of one packed row; auto = 2048, or max_length where that is more; on a GPU up to 16384, as fits it"`
	Recompute        string `key:"recompute" enum:"auto|none|full" doc:"activation checkpointing: auto = as little as fits the memory"`
	Threads          int    `key:"threads" min:"0" doc:"0 = all cores; results do not depend on it"`
}

// Eval is the loss on held-out rows during training.
type Eval struct {
	Every                  int     `key:"every" min:"0" doc:"steps between evaluations; also before the first step and after the last; 0 = only those two"`
	EarlyStoppingPatience  int     `key:"early_stopping_patience" min:"0" doc:"stop after so many evaluations without a better loss; 0 = off"`
	EarlyStoppingThreshold float64 `key:"early_stopping_threshold" min:"0" doc:"how much lower a loss must be to be better"`
	LoadBestModelAtEnd     bool    `key:"load_best_model_at_end" doc:"publish the best evaluated state instead of the last"`
}

// Checkpoint is how a run survives being stopped.
type Checkpoint struct {
	Every     int     `key:"every" min:"0" doc:"steps between checkpoints; 0 = only at the end"`
	Keep      int     `key:"keep" min:"1" doc:"newest checkpoints kept; with eval.load_best_model_at_end the best one is kept besides"`
	KeepEvery int     `key:"keep_every" min:"0" doc:"checkpoints of steps that are multiples of this are never removed; 0 = off"`
	Grace     float64 `key:"grace" min:"0" doc:"seconds that a step may still take after a signal asked the run to stop; then the state before it is saved"`
}

// Guard is what happens at a step whose loss or gradient norm is no number, or far from those before it. A step that is left
// out changes neither weights nor optimizer.
type Guard struct {
	NonFinite string  `key:"nonfinite" enum:"stop|skip|rollback" doc:"a loss or gradient norm that is no finite number: end the run, leave the step out, or go back to the last checkpoint and leave out the steps since"`
	Spike     string  `key:"spike" enum:"off|stop|skip|rollback" doc:"the same for a loss or gradient norm far above those before it"`
	ZScore    float64 `key:"zscore" over:"0" doc:"a spike is so many standard deviations above the mean of the window"`
	Window    int     `key:"window" min:"8" max:"4096" doc:"newest steps taken that a spike is measured against; it is looked for once there are half as many, and 8"`
	Most      int     `key:"most" min:"1" max:"1000" doc:"times a run may leave steps out or go back; then it stops"`
	Name      bool    `key:"name" doc:"name the first op and layer that was not finite wherever a step is left out too; costs that step once more. A run that stops names it always"`
}

// Default is the run that a file with only model, data.train and run_dir describes.
func Default() Config {
	return Config{
		Template:    "auto",
		SystemRatio: 1,
		Data:        Data{MaxLength: 2048, Overlength: "error", MaxCutShare: 0.1, TrainOn: "all", Shuffle: true},
		Method:      "lora",
		LoRA:        LoRA{R: 16, Alpha: 32, TargetModules: []string{"all-linear"}},
		Train: Train{Epochs: 1, ExamplesPerStep: 32, LearningRate: 2e-4, LRScheduler: "cosine", MaxGradNorm: 1,
			Adam: Adam{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8}, Seed: 1},
		Compute:    Compute{Device: "auto", Dtype: "auto", Recompute: "auto"},
		Eval:       Eval{Every: 100},
		Checkpoint: Checkpoint{Every: 100, Keep: 3, Grace: 20},
		Guard:      Guard{NonFinite: "stop", Spike: "off", ZScore: 6, Window: 128, Most: 10},
	}
}

// defaultSource is what a source starts from before its own keys are read.
func defaultSource() Source { return Source{Format: "auto", Weight: 1, Repeat: 1} }
