# SPDX-License-Identifier: MIT
# What Perl programs do: regular expressions, hashes, string building, sorting.
use strict;
use warnings;

my (%took, %count, @ids);
open(my $in, '<', $ARGV[0]) or die "$ARGV[0]: $!";
while (my $line = <$in>) {
    last if $. > 12000;
    next unless $line =~ /^(\d+) (\w+) +(host\d+) unit-(\d+): (.*) took=(\d+) id=([0-9a-f]+)/;
    my ($level, $host, $text, $took, $id) = ($2, $3, $5, $6, $7);
    $took{$host}{$level} += $took;
    $count{$_}++ for split / /, $text;
    push @ids, $id if $line =~ /(?:ember|ledger).*(\w)\1/;
    $line =~ s/(\w+)-(\d+)/$2_$1/g;
    $line =~ tr/a-y/b-z/;
    $took{sum}{length $line}++;
}
for my $host (sort keys %took) {
    printf "%s %s\n", $host, join ' ', map { "$_=$took{$host}{$_}" } sort keys %{ $took{$host} };
}
printf "%-10s %6d\n", $_, $count{$_} for sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count;
print scalar(@ids), ' ', join(',', (sort { hex(substr $a, 4) <=> hex(substr $b, 4) } @ids)[0 .. 9]), "\n";
my @sieve = (1) x 60000;
for my $i (2 .. 244) { if ($sieve[$i]) { for (my $j = $i * $i; $j < @sieve; $j += $i) { $sieve[$j] = 0 } } }
print scalar(grep { $sieve[$_] } 2 .. $#sieve), "\n";
