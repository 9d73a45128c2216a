// SPDX-License-Identifier: GPL-2.0-or-later
// Uses the page of the small checkpoint as a person would (test/stage/crit-report.bats).
'use strict';
const all = (what) => [...document.querySelectorAll(what)];
const need = (good, what) => {
	if (!good)
		throw new Error(what);
};
const point = (el) => el.dispatchEvent(new MouseEvent('mousemove', { bubbles: true, clientX: 5, clientY: 5 }));
const tip_box = document.getElementById('tip');

function point_at_things() {
	need(all('#task .region').length > 10 && all('#share g.node').length > 5, 'drawn');
	for (const el of all('#task .region')) {
		point(el);
		need(!tip_box.hidden && /KiB|MiB/.test(tip_box.textContent), 'tip of a region');
	}
	for (const el of all('#share g.node')) {
		el.dispatchEvent(new MouseEvent('mouseenter'));
		need(document.querySelector('path.lit'), 'what belongs together is lit');
		point(el);
		need(tip_box.textContent.length > 5, 'tip of a node');
		el.dispatchEvent(new MouseEvent('mouseleave'));
	}
	need(!document.querySelector('.graph.lit'), 'nothing is lit');
	point(document.body);
	need(tip_box.hidden, 'no tip');
}

function use_tree() {
	const field = document.querySelector('#tree input');
	const press = (text) => all('#tree button').find((b) => b.textContent === text).click();
	field.value = 'work';
	field.dispatchEvent(new Event('input'));
	need(all('#tree tr.pick').length === 1, 'search');
	document.querySelector('#tree tr.pick').click();
	need(document.querySelector('#task h2').textContent === 'Task worker (110)', 'choice');
	// By keyboard too: a task's name is a button, and what was chosen gets the focus.
	document.querySelector('#tree button.name').click();
	need(document.activeElement.id === 'task', 'focus');
	need(document.querySelector('#tree button.name').getAttribute('aria-current') === 'true', 'current');
	field.value = '';
	field.dispatchEvent(new Event('input'));
	press('fold all');
	need(all('#tree tr.pick').length === 1, 'folded');
	press('unfold all');
	need(all('#tree tr.pick').length === 3, 'unfolded');
	document.querySelector('#tree .twist').click();
	need(all('#tree tr.pick').length === 1, 'folded by its sign');
	document.querySelector('#share g.node').dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true }));
	need(document.activeElement.id === 'task', 'focus from the graph');
}

// What is drawn when it comes into view can take its time on a busy machine.
function when(good, run, left = 40) {
	if (good() || !left)
		run();
	else
		setTimeout(() => when(good, run, left - 1), 200);
}

when(() => all('#share g.node').length, () => {
	point_at_things();
	use_tree();
	all('details').forEach((el) => { el.open = true; });
	when(() => all('#task details tbody tr').length >= 12, () => {
		need(all('#task details tbody tr').length >= 12, 'list of mappings');
		document.documentElement.dataset.used = 1;
	});
});
