"""The frame of the preview page: plain HTML and CSS, no script, nothing loaded from elsewhere."""

from string import Template

PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Preview: $title</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body { font: 15px/1.5 'Segoe UI', Helvetica, Arial, sans-serif; color: #1b2530; background: #f4f6f9; margin: 0; }
header { position: sticky; top: 0; background: #1b2530; color: #fff; padding: 12px 24px; z-index: 1; }
header a { color: #cfe0ff; margin-right: 14px; } header h1 { font-size: 18px; margin: 0 0 4px 0; }
section { background: #fff; margin: 24px; padding: 8px 24px 24px; border-radius: 10px; scroll-margin-top: 90px; }
.frames { display: flex; gap: 20px; overflow-x: auto; align-items: flex-start; } figure { margin: 0; }
figcaption { color: #566270; } iframe { border: 1px solid #c8d1db; border-radius: 8px; background: #fff; }
pre { white-space: pre-wrap; font: 13px/1.5 monospace; background: #f4f6f9; padding: 12px; max-width: 640px; }
.sms { max-width: 320px; background: #e5f0ff; border-radius: 14px; padding: 10px 14px; overflow-wrap: anywhere; }
table { border-collapse: collapse; }
td, th { text-align: left; padding: 4px 14px 4px 0; border-bottom: 1px solid #dfe5ec; }
.error { color: #b3261e; } .warning { color: #8f5300; } .none { color: #566270; } details { margin-top: 12px; }
</style></head><body>
<header><h1>$title <small>$company</small></h1>
<nav>$names<a href="#fields">fields</a><a href="#diff">difference</a></nav></header>
$sections
<section id="fields"><h2>Merge fields of this template</h2>$fields</section>
<section id="diff"><h2>Difference to what is published</h2>$differences</section>
</body></html>
""")

SECTION = Template("""<section id="$id"><h2>$name</h2>
<h3>E-mail</h3>$email
<details><summary><b>Letter</b></summary>$letter</details>
<h3>SMS</h3>$sms
</section>
""")
