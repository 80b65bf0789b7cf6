use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::failure::Done;
use crate::output::{Output, STRONG, styled};

const GAP: usize = 2;
const NARROWEST: usize = 8;

pub(crate) struct Cell {
    pub(crate) text: String,
    pub(crate) style: anstyle::Style,
}

impl Cell {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), style: anstyle::Style::new() }
    }

    pub(crate) fn styled(text: impl Into<String>, style: anstyle::Style) -> Self {
        Self { text: text.into(), style }
    }
}

/// Writes a table that fits its terminal. Columns come in order of importance: the last ones are dropped, and the last one left is cut.
pub(crate) fn write<const N: usize>(out: &mut Output, titles: [&str; N], rows: &[[Cell; N]]) -> Done {
    let widest = |column: usize| {
        let cells = rows.iter().map(|row| row[column].text.width());
        cells.max().unwrap_or(0).max(titles[column].width())
    };
    let is_empty = |column: usize| column > 0 && rows.iter().all(|row| row[column].text.is_empty());
    let room = out.width().unwrap_or(usize::MAX);
    let mut columns = Vec::new();
    let mut used = 0;
    for column in (0..N).filter(|column| !is_empty(*column)) {
        let gap = if columns.is_empty() { 0 } else { GAP };
        let free = room.saturating_sub(used + gap);
        let width = widest(column).min(free);
        if width < widest(column).min(NARROWEST) {
            break;
        }
        columns.push((column, width));
        used += gap + width;
    }
    let titles = columns.iter().map(|(column, width)| (titles[*column], STRONG, *width));
    out.line(line(titles))?;
    for row in rows {
        let cells = columns.iter().map(|(column, width)| (row[*column].text.as_str(), row[*column].style, *width));
        out.line(line(cells))?;
    }
    Ok(())
}

fn line<'a>(cells: impl Iterator<Item = (&'a str, anstyle::Style, usize)>) -> String {
    let mut line = String::new();
    let mut pending = 0;
    for (text, style, width) in cells {
        let text = cut(text, width);
        if !text.is_empty() {
            line.push_str(&" ".repeat(pending));
            pending = 0;
            line.push_str(&styled(style, &text));
        }
        pending += width.saturating_sub(text.width()) + GAP;
    }
    line
}

fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut room = width.saturating_sub(1);
    let fits = |c: &char| {
        let wide = c.width().unwrap_or(0);
        let fits = wide <= room;
        room = room.saturating_sub(wide);
        fits
    };
    let mut text: String = text.chars().take_while(fits).collect();
    text.push('…');
    text
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn text_is_cut_by_its_width() {
        assert_eq!(cut("flags", 5), "flags");
        assert_eq!(cut("flagship", 5), "flag…");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("abc", 0), "…");
    }
}
