// Sign in with email and password, or with a link in a mail.
import { Credentials } from "@/app/credentials";
import { NoticeBox } from "@/app/notice";
import { noticeOf } from "@/lib/words";

export const metadata = { title: "Sign in · ATS" };

export default async function SignIn({ searchParams }: PageProps<"/sign-in">) {
  const { notice } = await searchParams;
  return (
    <>
      <h1>Sign in</h1>
      <NoticeBox notice={noticeOf(typeof notice === "string" ? notice : undefined)} />
      <Credentials action="/auth/sign-in" submit="Sign in" password="current-password" />
      <section aria-labelledby="by-link">
        <h2 id="by-link">Without a password</h2>
        <form method="post" action="/auth/link">
          <label htmlFor="link-email">Email for the link</label>
          <input id="link-email" name="email" type="email" autoComplete="username" required maxLength={254} />
          <button type="submit" className="quiet">
            Send me a link
          </button>
        </form>
      </section>
      <p>
        New here? <a href="/sign-up">Create an account</a>
      </p>
    </>
  );
}
