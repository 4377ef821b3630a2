"""Everything about templates that is a function of its arguments: text to template, template to plan."""
