//! The picture of a bench: what was done a second, over the time, as SVG that reads on light and on dark ground.

use std::fmt::Write;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 320.0;
/// Left, top, right and bottom of the plot.
const PLOT: (f64, f64, f64, f64) = (70.0, 60.0, 700.0, 280.0);

/// Draws points of time in seconds and rates.
pub(super) fn draw(title: &str, subtitle: &str, points: &[(f64, f64)]) -> String {
    let (left, top, right, bottom) = PLOT;
    let longest = points.last().map_or(1.0, |(time, _)| time.max(0.1));
    let highest = points
        .iter()
        .fold(1.0, |most: f64, (_, rate)| most.max(*rate));
    let ceiling = round_up(highest);
    let x = |time: f64| left + (right - left) * time / longest;
    let y = |rate: f64| bottom - (bottom - top) * rate / ceiling;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <style>text{{fill:#333}}.grid{{stroke:#ccc}}@media(prefers-color-scheme:dark){{text{{fill:#ddd}}.grid{{stroke:#555}}}}</style>\n\
         <text x=\"{left}\" y=\"22\" font-size=\"16\">{}</text>\n<text x=\"{left}\" y=\"42\">{}</text>\n",
        escaped(title),
        escaped(subtitle),
    );
    for part in 0..=4 {
        let rate = ceiling * f64::from(part) / 4.0;
        let at = y(rate);
        // Into a string: it cannot fail.
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{left}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{rate:.0}</text>",
            left - 8.0,
            at + 4.0,
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{left}\" y=\"{:.1}\">0 s</text><text x=\"{right}\" y=\"{:.1}\" text-anchor=\"end\">{longest:.1} s</text>",
        bottom + 20.0,
        bottom + 20.0,
    );
    let line: Vec<_> = points
        .iter()
        .map(|(time, rate)| format!("{:.1},{:.1}", x(*time), y(*rate)))
        .collect();
    let _ = writeln!(
        svg,
        "<polyline fill=\"none\" stroke=\"#2a7de1\" stroke-width=\"2\" points=\"{}\"/>\n</svg>",
        line.join(" ")
    );
    svg
}

/// The next of 1, 2, 4, 5, 8, 10, 20, ... above.
fn round_up(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 4.0, 5.0, 8.0, 10.0];
    let step = steps.into_iter().find(|step| step * power >= value);
    step.unwrap_or(10.0) * power
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_ends_at_a_round_number() {
        for (value, want) in [
            (1.0, 1.0),
            (9.0, 10.0),
            (11.0, 20.0),
            (4_500.0, 5_000.0),
            (51_000.0, 80_000.0),
        ] {
            assert!((round_up(value) - want).abs() < 1e-6, "{value}");
        }
    }

    #[test]
    fn a_picture_has_a_point_for_each_stretch() {
        let svg = draw("a < b", "&", &[(1.0, 50.0), (2.0, 100.0)]);
        assert!(svg.contains("a &lt; b") && svg.contains("&amp;"));
        assert!(svg.contains("points=\"385.0,170.0 700.0,60.0\""), "{svg}");
    }
}
