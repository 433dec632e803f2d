package main

import "slices"

// team is a desk of the shop and what customers write to it. %p is a product and %d a weekday.
type team struct {
	name    string
	clauses []string // of the text corpus and the training rows, one or two a message
	heldOut []string // sentences that only held-out rows have: the same words, put otherwise
}

var teams = []team{
	{"billing", []string{
		"I was charged twice for the %p",
		"the invoice for my %p shows the wrong amount",
		"my card was charged before the %p was sent",
		"the bill says that I have not paid for the %p",
		"I need an invoice for the %p",
		"the discount is missing from the bill",
		"the payment for the %p went through two times",
		"there is a fee on the bill that I do not know",
		"I need a receipt with the tax",
		"the price on the invoice is too high",
		"my bank shows two payments for the %p",
		"I paid for the %p on %d and was charged again",
		"my bank says that you charged me on %d",
		"the receipt shows another price",
		"the payment was taken again",
		"the discount on the %p was not given",
		"you charged the full price for the %p",
		"the bill for the %p came two times",
		"I cannot pay the invoice with my card",
		"the bill is wrong since %d",
		"the tax on my receipt is missing",
		"the payment by bank was not found",
	}, []string{
		"The bill shows that I paid twice for the %p.",
		"My card was charged the wrong amount for the %p.",
		"I need a receipt, the invoice for the %p is wrong.",
		"The bank says that the payment was charged again on %d.",
		"The discount for the %p is missing and the price is wrong.",
	}},
	{"shipping", []string{
		"the parcel with my %p has not arrived",
		"the %p should have come on %d",
		"the tracking page has not changed since %d",
		"the courier left the %p at the wrong door",
		"my delivery is late again",
		"the parcel must go to another address",
		"the courier says that nobody was home on %d",
		"the parcel is stuck at the depot",
		"tracking says delivered but there is no parcel here",
		"the %p is not delivered yet",
		"the driver never rang on %d",
		"the delivery went to another door",
		"the driver says that he left it on %d",
		"the depot cannot find the parcel",
		"my parcel came to the wrong address",
		"the courier has lost the %p",
		"the %p has not arrived since %d",
		"nobody knows where the parcel is",
		"I was at home and no driver came",
		"the delivery of the %p is two days late",
		"the tracking of my parcel is empty",
		"the %p was left at the depot",
	}, []string{
		"The courier has not delivered the parcel with my %p.",
		"The parcel should have arrived on %d.",
		"Tracking says that the delivery of my %p is late.",
		"The driver left the parcel at another address.",
		"My %p has not arrived, the depot says that nobody was home.",
	}},
	{"returns", []string{
		"I want to send the %p back",
		"the %p is too small and I want to swap it",
		"I want to return the %p",
		"I need a return label for the %p",
		"I would like another colour of the %p",
		"I changed my mind about the %p",
		"I never wanted a %p and will give it back",
		"I would like to exchange the %p for a bigger one",
		"the %p does not suit me",
		"please take the %p back",
		"I have sent the %p back on %d",
		"please swap my %p for another colour",
		"the label to send the %p back is missing",
		"can I give the %p back",
		"I want another one, the %p is too big",
		"the return of the %p is not done yet",
		"I will not keep the %p",
		"it is the wrong size and I would like to exchange it",
		"the %p was a gift and I want to swap it",
		"you sent the wrong colour of the %p",
		"I need a box to return the %p",
		"I would like to send it back on %d",
	}, []string{
		"I would like to swap the %p for another colour.",
		"I would like to return the %p, it is too small.",
		"I want to give the %p back and need a label.",
		"Please exchange the %p, it does not suit me.",
		"I changed my mind and want to send it back.",
	}},
	{"account", []string{
		"I cannot log in to my account",
		"I forgot my password",
		"please change the email of my account",
		"the login page says that my password is wrong",
		"please delete my account",
		"the code to sign in never comes",
		"I want to change my user name",
		"my account is locked since %d",
		"I have two accounts with one email",
		"someone else signed in with my password",
		"the login fails since %d",
		"my user name is gone",
		"the password is not taken since %d",
		"my email is wrong on the login page",
		"the code for my account fails",
		"I want to sign in with another email",
		"the page says that my name is not found",
		"I cannot change my password",
		"the account of my wife is locked",
		"someone else has my user name",
		"my login was changed on %d",
		"the sign in page never opens",
	}, []string{
		"I forgot my password and my account is locked.",
		"I cannot sign in since %d, the code never comes.",
		"Please change my password, I cannot log in.",
		"Someone else signed in with my email.",
		"My login fails and the user name is wrong.",
	}},
	{"technical", []string{
		"the %p does not switch on",
		"my %p stopped working on %d",
		"the %p makes a strange noise",
		"the battery of the %p is empty after an hour",
		"the app does not find the %p",
		"the %p gets too hot",
		"the button of my %p is broken",
		"the light of the %p keeps blinking",
		"after the update the %p keeps restarting",
		"I do not know how to reset the %p",
		"the screen of the %p stays black",
		"the cable of the %p gets hot",
		"the %p was switched on and made a noise",
		"the update of the %p fails",
		"the %p is broken since %d",
		"the light does not go on",
		"the button does nothing",
		"the battery gets hot",
		"the screen is blinking and then black",
		"the app stopped after the update",
		"I want to reset the %p but the button is stuck",
		"the %p works for an hour and stops",
	}, []string{
		"The %p gets hot and makes a strange noise.",
		"My %p stopped working after the update.",
		"The battery is broken, the %p does not switch on.",
		"The light keeps blinking and the screen is black.",
		"The button does not reset the %p.",
	}},
}

var (
	openings = []string{"Hello,", "Hi,", "Good morning,", "Good evening,", "Dear team,"}
	joints   = []string{" and ", ", also ", ". Then "}
	// remarks say nothing about the team.
	remarks = []string{"I bought it last week.", "It was a gift.", "Please help me.", "I am not happy.", "This is my second message.",
		"I could not find the answer on your page."}
	// numbered names the order; %n is its number.
	numbered = []string{"My order is %n.", "It is order %n.", "The order number is %n.", "This is about order %n.", "I mean order %n."}
	closings = []string{"Thanks,", "Regards,", "Best wishes,", "Thank you,"}
	weekdays = []string{"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"}
)

// words are what fills a message.
type words struct {
	products, names []string
}

// and has the words of both.
func (a words) and(b words) words {
	return words{append(slices.Clone(a.products), b.products...), append(slices.Clone(a.names), b.names...)}
}

var (
	trainWords = words{
		products: []string{"kettle", "lamp", "toaster", "blender", "headset", "monitor", "keyboard", "speaker", "stove", "camera", "drill", "heater",
			"clock", "radio", "phone", "fan", "mixer", "scanner", "tablet", "shaver"},
		names: []string{"Anna", "Boris", "Carla", "David", "Elena", "Farid", "Greta", "Hugo", "Irina", "Jonas", "Karin", "Louis", "Maria", "Nils",
			"Olga", "Paul", "Rosa", "Stefan", "Tanja", "Ulrich", "Vera", "Willem", "Yara", "Zoe"},
	}
	heldOutWords = words{
		products: []string{"lantern", "printer", "router", "cooler", "watch", "projector", "charger", "freezer"},
		names:    []string{"Alma", "Bruno", "Dora", "Emil", "Freya", "Ivan", "Laura", "Oscar", "Petra", "Simon"},
	}
)
