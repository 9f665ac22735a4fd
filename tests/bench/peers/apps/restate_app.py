"""The services that the Restate server calls: durable steps inside one invocation. Runs in Restate's environment."""

import restate

bench = restate.Service("bench")


def fib(n: int) -> int:
    return n if n < 2 else fib(n - 1) + fib(n - 2)


@bench.handler()
async def chain(ctx: restate.Context, steps: int) -> int:
    total = 0
    for place in range(steps):
        total += await ctx.run_typed(f"s{place}", fib, n=10)
    return total


@bench.handler()
async def fan(ctx: restate.Context, width: int) -> int:
    steps = [ctx.run_typed(f"s{place}", fib, n=10) for place in range(width)]
    await restate.gather(*steps)
    return sum([await step for step in steps])


app = restate.app(services=[bench])
