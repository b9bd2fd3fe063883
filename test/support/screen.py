"""A terminal's screen, as far as the live view needs one: text, newline, carriage return, cursor up, erase to
the end, colours (left out). Anything else is an error: the program may not write it."""
import fcntl
import re
import struct
import termios

PIECE = re.compile(r"\x1b\[(\d*)([AJm])|([\r\n])|([^\x00-\x1f\x7f])")


def set_size(terminal, size):
    """(rows, columns) of a pseudo terminal."""
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))


class Screen:
    def __init__(self, columns, rows):
        self.columns, self.rows = columns, rows
        self.lines, self.row, self.column = [""], 0, 0

    def feed(self, text):
        at = 0
        while at < len(text):
            piece = PIECE.match(text, at)
            assert piece, repr(text[at:at + 40])
            at = piece.end()
            number, command, control, character = piece.groups()
            if command == "A":
                self.row -= int(number or 1)
                assert self.row >= max(0, len(self.lines) - self.rows), "above the window"
            elif command == "J":
                self.lines[self.row:] = [self.lines[self.row][:self.column]]
            elif control == "\r":
                self.column = 0
            elif control == "\n":
                self.down()
            elif character:
                self.put(character)

    def down(self):
        self.row, self.column = self.row + 1, 0
        if self.row == len(self.lines):
            self.lines.append("")

    def put(self, character):
        if self.column == self.columns:
            self.down()
        line = self.lines[self.row].ljust(self.column)
        self.lines[self.row] = line[:self.column] + character + line[self.column + 1:]
        self.column += 1

    def text(self):
        return "\n".join(line.rstrip() for line in self.lines)
