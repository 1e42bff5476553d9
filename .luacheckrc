std = 'max'
max_line_length = 80
exclude_files = {'build'}
files['test/**/*_spec.lua'].std = '+busted'
