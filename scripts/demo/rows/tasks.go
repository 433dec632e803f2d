package main

// message is a turn of the messages schema.
type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// turn is a turn of the conversations schema.
type turn struct {
	From  string `json:"from"`
	Value string `json:"value"`
}

// What the rows ask. The answers are short and of one form, so that a program can read them.
const (
	askTeam  = "Which team should handle this message?"
	askOrder = "Does it name an order?"
	fileIt   = "File the message: team, and whether it names an order."
)

// orderAnswer is the answer to askOrder. It does not repeat the number: so small a model learns to copy five digits with
// one seed and not with the next.
func (m mail) orderAnswer() string {
	if m.order == "" {
		return "no order"
	}
	return "order named"
}

// task is a conversation; each kind of task has its own file and schema.
type task []message

// route asks for the team.
func route(m mail) task {
	return task{{"user", askTeam + "\n\n" + m.text}, {"assistant", m.team}}
}

// file has the task in the system turn and answers with both.
func file(m mail) task {
	return task{{"system", fileIt}, {"user", m.text}, {"assistant", m.team + ", " + m.orderAnswer()}}
}

// follow asks for the team, then whether an order is named.
func follow(m mail) task {
	return append(route(m), message{"user", askOrder}, message{"assistant", m.orderAnswer()})
}

// instruction is the first schema's row; instruction and input make the user's turn, a blank line between them.
func instruction(m mail) any {
	return struct {
		Instruction string `json:"instruction"`
		Input       string `json:"input"`
		Output      string `json:"output"`
	}{askTeam, m.text, m.team}
}

func messages(t task) any {
	return struct {
		Messages task `json:"messages"`
	}{t}
}

func conversations(t task) any {
	names := map[string]string{"system": "system", "user": "human", "assistant": "gpt"}
	turns := make([]turn, len(t))
	for i, m := range t {
		turns[i] = turn{names[m.Role], m.Content}
	}
	return struct {
		Conversations []turn `json:"conversations"`
	}{turns}
}
